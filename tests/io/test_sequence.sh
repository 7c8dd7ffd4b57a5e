#!/bin/bash
# A sequence of requests whose groups are made by scores computed anew: the first step goes by the originals' scores, the second
# one does not, and equals a run that is given, in a file, what the first step's outputs say; 1 to 3 ranks agree, and what was
# killed between two groups or epochs goes on with the same bits. About 15 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
sed -i -e '/^ensemble:/d' -e '/^scores:/d' -e '/^influence:/d' -e 's/label_noise: 0.05/validation: 0.1/' -e 's/epochs: 4/epochs: 4\n  precision: f32/' "$job"
inner='inner: [{name: finetune, epochs: 2}, {name: neggrad, epochs: 2, lr: 0.002}, {name: salun, epochs: 3}]'
cat >>"$job" <<END
originals: {seeds: 1}
scores: [final_loss, {name: knn_disagreement, k: 5}]
unlearning:
  forget:
    - {name: three, select: class, classes: 3}
    - {name: some, select: labels, classes: [0, 1, 2, 4, 5], size: 60}
  sequence: [three, some]
  methods:
    - {name: rum, by: final_loss, $inner}
    - {name: rum, by: final_loss, rescore: final_loss, $inner}
    - {name: rum, by: final_loss, rescore: knn_disagreement, $inner}
  seeds: 1
  oracles: 1
END
expect_code 0 study 1 "$work/one"
expect_silence
cp "$work/out" "$work/log"
[ "$(grep -c 'event=note text="rum.* splits every request of the sequence by the originals' "$work/log")" -eq 1 ] || fail "not one note"
# named SETTING: the suffix of the method's models with it.
named() { sed -n "s/.*event=settings method=rum\(-[0-9a-f]*\) settings=\"{name: rum, .*by: final_loss$1}\".*/\1/p" "$work/log"; }
plain=$(named '') loss=$(named ', rescore: final_loss') near=$(named ', rescore: knn_disagreement')
[ -n "$plain" ] && [ -n "$loss" ] && [ -n "$near" ] || fail "no settings in $(grep event=settings "$work/log")"
# same STUDY SUFFIX STUDY SUFFIX STEP: are the weights equal? (The header names the task.)
weights() { tail -c 4000 "$1/unlearned/rum-$3-0$2.safetensors"; }
same() { cmp -s <(weights "$1" "$2" "$5") <(weights "$3" "$4" "$5"); }
for suffix in "$loss" "$near"; do
    same "$work/one" "$plain" "$work/one" "$suffix" three || fail "the first step does not go by the originals' scores"
    ! same "$work/one" "$plain" "$work/one" "$suffix" three+some || fail "the second step goes by the originals' scores"
done
! same "$work/one" "$loss" "$work/one" "$near" three+some || fail "two scores make the same groups"
say "steps by their own scores"

for ranks in 2 3; do
    expect_code 0 study $ranks "$work/ranks-$ranks"
    expect_equal "$work/one" "$work/ranks-$ranks"
    diff -r "$work/one/unlearned" "$work/ranks-$ranks/unlearned" || fail "other weights with $ranks ranks"
done
say "1 to 3 ranks agree"

# Killed when the second step has just been saved; another number of ranks goes on, and does not begin again.
number=$(($(grep -n "three+some.*$loss\$" "$work/one/unlearning.tasks" | head -n 1 | cut -d : -f 1) - 2)) # behind a line of heading, from 0
[ $number -ge 0 ] || fail "no second step: $(cat "$work/one/unlearning.tasks")"
code=0
LEAVEOUT_FAULT=kill-saved:$number study 1 "$work/killed" --set train.checkpoint_minutes=0.000001 >"$work/out" 2>"$work/err" || code=$?
[ $code -eq 137 ] || fail "killed when saved: code $code"
[ -n "$(ls "$work/killed/checkpoints")" ] || fail "nothing was saved"
expect_code 0 study 2 "$work/killed"
expect_no_text "$work/err" 'begins again'
expect_equal "$work/one" "$work/killed"
diff -r "$work/one/unlearned" "$work/killed/unlearned" || fail "other weights after a kill"
say "killed and resumed: equal"

for python in /usr/bin/python3 python3; do
    "$python" -c 'import numpy, h5py' 2>/dev/null && break
    python=
done
[ -n "$python" ] || skip "numpy and h5py are not there"
# What the model of the first step says about the second forget set, as a file of scores.
"$python" - "$work/one" "rum-three-0$loss" "$work/score.npy" <<'PYTHON' || fail "numpy"
import sys
import h5py, numpy as np
study, model, file = sys.argv[1:]
with h5py.File(study + "/outputs.h5") as f:
    names = [x.decode() for x in f["/model/name"][:]]
    label, index = f["/train/label"][:], f["/train/index"][:]
    logit = f["/train/logit"][:].reshape(len(names), len(label), -1).astype(float)
before, after = logit[names.index("0")], logit[names.index(model)]
def loss(z):
    z = z - z.max(1, keepdims=True)
    return np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), label]
with h5py.File(study + "/forget.h5") as f:
    first = np.isin(index, f["/three/index"][:])
    second = np.isin(index, f["/three+some/index"][:]) & ~first
third = lambda s: np.argsort(np.argsort(s[second], kind="stable")) // 20
assert (third(loss(before)) != third(loss(after))).any(), "the groups have not changed"
np.save(file, np.where(first, loss(before), loss(after)))
PYTHON
expect_code 0 study 2 "$work/given" --set "unlearning.methods=[{name: rum, by: $work/score.npy, $inner}]"
given=$(ls "$work/given/unlearned" | sed -n 's/^rum-three-0\(.*\).safetensors$/\1/p')
for step in three three+some; do
    same "$work/one" "$loss" "$work/given" "$given" "$step" || fail "$step: not as by the scores of the first step's outputs"
done
say "the same as with a file of the first step's scores"
