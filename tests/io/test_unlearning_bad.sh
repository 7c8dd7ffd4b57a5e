#!/bin/bash
# What is wrong with a job's unlearning is said by `check`, and by `run` before anything is trained. About 5 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
sed -i -e '/^ensemble:/d' -e '/^scores:/d' -e '/^influence:/d' "$job"
echo 'originals: {seeds: 2}' >>"$job"
good='{forget: [{name: a, select: random, share: 0.1}], methods: [finetune], seeds: 2, oracles: 1}'
expect_code 0 "$LEAVEOUT" check "$job" --set "unlearning=$good"
n=0
# refused 'UNLEARNING' REGEX...: as a job, with exit code 2.
refused() {
    local set=$1 pattern
    shift
    expect_code 2 "$LEAVEOUT" check "$job" --set "unlearning=$set" ${more[@]+"${more[@]}"}
    for pattern in "$@"; do
        expect_text "$work/err" "$pattern"
    done
    n=$((n + 1))
}
forget() { refused "{forget: [$1], methods: [finetune], seeds: 1}" "${@:2}"; }

# ---- forget sets
forget '{name: a, select: random, share: 0.0001}' 'forget set a is empty'
forget '{name: a, select: random}' 'a: would be empty: share or size'
forget '{name: a, select: random, size: 301}' 'forget set a has 301 of 600 training examples, more than the 299'
forget '{name: a, select: random, share: 0.6}' 'share: found .0.6.'
forget '{name: a, select: random, size: 30, share: 0.1}' 'share and size are both given'
forget '{name: a, select: some}' 'found .some.' 'random class subclass'
forget '{name: a}' 'select'
forget '{name: a, select: class, classes: 10}' 'forget set a: class 10 does not occur among the 600'
forget '{name: a, select: class}' 'select: class needs `classes`'
forget '{name: a, select: class, classes: [0, 1, 2, 3, 4, 5]}' 'more than the'
forget '{name: a, select: class, classes: 1, share: 0.1}' 'share: does not apply to select: class'
forget '{name: a, select: subclass, classes: 1}' 'two levels of classes'
forget '{name: a, select: file, numbers: [5, 600]}' 'example 600 is not among the 600 training examples in use \(numbers 0 to 599'
forget '{name: a, select: file, numbers: [5, 6, 5]}' 'example 5 is given twice'
forget '{name: a, select: file}' 'needs `file` or `numbers`'
forget '{name: a, select: top, size: 10}' 'goes by a score'
forget '{name: a, select: top, size: 10, by: memorization}' 'forget set a: by: found .memorization., which the job does not compute'
forget '{name: a, select: top, size: 10, by: attribution/ggn}' 'attribution.methods do not have .ggn.'
forget '{name: a/b, select: random, size: 5}' 'a/b: a name of 3 characters; allowed'
forget '{name: a, select: random, size: 5}, {name: a, select: random, size: 6}' 'two forget sets have this name'
forget '{name: a, select: random, sise: 5}' 'sise' 'size'
forget '{name: a, select: top, size: 10, by: x.npy, at: 0.2}' 'at: does not apply to select: top'
forget '{name: a, select: middle, size: 10, by: x.npy, at: 0.2}' 'at: the position of the middle is for middle: rank'
# Of sets by a score the sizes are known before it is.
more=(--set 'ensemble={models: 8}' --set 'scores=[memorization]')
forget '{name: a, select: top, share: 0.0005, by: memorization}' 'forget set a is empty'
forget '{name: a, select: middle, size: 301, by: memorization}' 'forget set a has 301 of 600 training examples, more than the 299'
forget '{name: a, select: mix, size: 2, by: memorization}' 'forget set a: a mix of 2 examples; allowed: at least 3'
forget '{name: a, select: mix, share: 0.003, by: memorization}' 'forget set a: a mix of 2 examples'
refused '{forget: [{name: a, select: bottom, size: 2, by: memorization}], methods: [{name: rum, by: memorization}], seeds: 1}' \
    '3 groups of forget set a, which has 2 examples'
refused '{forget: [{name: a, select: top, size: 200, by: memorization}, {name: b, select: bottom, size: 150, by: memorization}], sequence: [a, b], seeds: 1}' \
    'forget set a\+b has 350 of 600 training examples'
refused '{forget: [{name: a, select: top, size: 200, by: memorization}, {name: b, select: random, size: 150}], sequence: [b, a], seeds: 1}' \
    'forget set b\+a has 350 of 600 training examples'
expect_code 0 "$LEAVEOUT" check "$job" "${more[@]}" --set \
    'unlearning={forget: [{name: a, select: mix, size: 3, by: memorization}, {name: b, select: top, share: 0.3, by: memorization}], methods: [{name: rum, by: memorization}], sequence: [b, a], seeds: 1}'
more=()
printf '1\n2\nx3\n' >"$work/numbers"
forget "{name: a, select: file, file: $work/numbers}" "$work/numbers:3: found 'x3'"
refused '{methods: [finetune], seeds: 1}' 'unlearning.forget: names no forget set'
refused "{forget: [{name: a, select: random, size: 5}], sequence: [b], seeds: 1}" "unlearning.sequence: 'b' is no forget set"
refused "{forget: [{name: a, select: random, size: 5}], sequence: [a, a], seeds: 1}" "unlearning.sequence: 'a' is there twice"
refused '{forget: [{name: a, select: class, classes: 1}, {name: b, select: class, classes: [1, 2]}], sequence: [a, b], seeds: 1}' \
    'forget set a\+b: example [0-9]+ is in two'

# ---- methods
methods() { refused "{forget: [{name: a, select: random, size: 30}], methods: [$1], seeds: 1}" "${@:2}"; }
methods 'finetuned' 'finetuned: no such method; the nearest is .finetune.'
methods '{name: finetune, epoch: 3}' 'epoch' 'epochs'
methods '{name: finetune, epochs: 0}' 'epochs: found .0.'
methods 'finetune, {name: finetune, epochs: 10}' 'is there twice with the same settings'
methods 'rum' 'score'
methods '{name: rum, by: memorization}' 'rum: by: found .memorization., which the job does not compute'
more=(--set 'scores=[final_loss, confidence, loss_curvature]')
methods '{name: rum, by: final_loss, rescore: grand}' 'rum: rescore: found .grand., which the job does not compute'
methods '{name: rum, by: final_loss, rescore: confidence}' \
    "rum: rescore: score confidence cannot be computed anew of a model that has forgotten: it is made of a training's history; allowed: .*final_loss"
methods '{name: rum, by: final_loss, rescore: loss_curvature}' 'list it with over: end'
more=()
refused '{forget: [{name: a, select: random, size: 30}], methods: [finetune], seeds: 1, retain: false}' \
    'finetune: reads the retain set, and the job declares that there is none \(unlearning.retain: false\)'
more=(--set 'unlearning.retain=false')
expect_code 0 "$LEAVEOUT" check "$job" --set 'unlearning={forget: [{name: a, select: random, size: 30}], methods: [neggrad]}' \
    --set unlearning.seeds=1 "${more[@]}"
more=(--set originals=null)
refused "$good" 'the job needs the section originals'
more=()
refused '{forget: [{name: a, select: random, size: 30}], methods: [finetune], seeds: 3}' 'unlearning.seeds: found 3; allowed: up to originals.seeds, 2'
search() { refused "{forget: [{name: a, select: random, size: 30}], methods: [finetune], seeds: 1, search: [$1]}" "${@:2}"; }
search '{name: del, lr: [0.1, 0.2]}' 'del: is none of the job.s methods'
search '{name: finetune, lr: 0.1}' 'nothing to be searched'
search '{name: finetune, rl: [0.1, 0.2]}' 'rl' 'lr'
search '{name: finetune, lr: [0.1, -1]}' 'lr: found .-1.'
search '{name: finetune, schedule: [cosine, cosines]}' 'cosines'
refused '{forget: [{name: a, select: random, size: 30}], methods: [finetune], seeds: 1, oracles: 0, search: [{name: finetune, lr: [0.1, 0.2]}]}' \
    'unlearning.search: chooses by the gap to oracles, of which unlearning.oracles has none'
more=(--set unlearning.criterion=validation_loss)
refused "$good" 'validation_loss needs a validation set'
more=()

# ---- before anything is trained
expect_code 2 "$LEAVEOUT" run "$job" --study "$work/study" --set 'unlearning={forget: [{name: a, select: class, classes: 77}], seeds: 1}'
expect_text "$work/err" 'class 77 does not occur'
[ ! -e "$work/study/originals" ] || fail "originals were trained before the job was refused"

# ---- before the data are read, where they are not needed
rm -r "$work/data"
early() { refused "$@"; expect_no_text "$work/err" "$work/data"; }
early '{forget: [{name: a, select: file, numbers: [5, 6, 5]}], seeds: 1}' 'forget set a: example 5 is given twice'
early '{forget: [{name: a, select: class, classes: [1, 1]}], seeds: 1}' 'forget set a: class 1 is given twice'
early '{forget: [{name: a, select: random}], seeds: 1}' 'a: would be empty: share or size'
early '{forget: [{name: a, select: top, size: 3, by: memorization}], seeds: 1}' 'a: by: found .memorization., which the job does not compute'
early '{forget: [{name: a, select: random, size: 5}], methods: [finetuned], seeds: 1}' 'the nearest is .finetune.'
early '{forget: [{name: a, select: random, size: 5}], sequence: [a, b], seeds: 1}' "'b' is no forget set"
early '{forget: [{name: a, select: random, size: 5}], methods: [finetune], search: [{name: finetune, rl: [0.1, 0.2]}], seeds: 1}' 'rl' 'lr'
code=0
"$LEAVEOUT" check "$job" --set "unlearning=$good" >"$work/out" 2>"$work/err" || code=$?
[ $code -ne 0 ] || fail "data that are gone were not missed"
expect_text "$work/err" "$work/data"
say "$n bad requests"
