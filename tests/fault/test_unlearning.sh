#!/bin/bash
# test_unlearning.sh [INSTANTS [SEED]]: SIGKILL of one rank or of all while models are made to forget, resumed with
# another number of ranks: nothing is damaged, no finished task is done again, and outputs and weights are those of an
# undisturbed run. 4 instants take about 15 seconds.
. "$(dirname "$0")/../lib.sh"
instants=${1:-4}
RANDOM=${2:-5}
make_job "$job"
sed -i -e '/^ensemble:/d' -e '/^scores:/d' -e '/^influence:/d' -e 's/label_noise: 0.05/validation: 0.1/' "$job"
cat >>"$job" <<'END'
originals: {seeds: 2}
scores: [final_loss]
unlearning:
  forget:
    - {name: random10, select: random, share: 0.1}
    - {name: three, select: class, classes: 3}
  sequence: [three, random10]
  methods: [{name: finetune, epochs: 60}, {name: neggrad_plus, epochs: 40}, {name: salun, epochs: 30}, {name: nabla_tau, epochs: 30},
    {name: rum, by: final_loss, rescore: final_loss, inner: [{name: finetune, epochs: 9}, {name: neggrad, epochs: 9}, {name: scrub, epochs: 9}]}]
  seeds: 2
  oracles: 2
  matched: true
END
sed -i 's/random10, select: random, share: 0.1/random10, select: labels, classes: [1, 2, 4, 5], size: 50/' "$job"
set_keys=(--set train.epochs=60)
tasks=36

expect_code 0 study 2 "$work/undisturbed" "${set_keys[@]}"
doze() { sleep "$(awk -v from="$1" -v to="$2" -v r=$RANDOM 'BEGIN { printf "%.4f", (from + (to - from) * r / 32768) / 1000 }')"; }
# What a former victim said is not what this one says.
forget_victim() { : >"$work/victim.out"; }
forgetting_or_over() { grep -q 'event=resume stage=unlearning' "$work/victim.out" || ! kill -0 "$victim" 2>/dev/null; }

for ((instant = 0; instant < instants; instant++)); do
    ranks=$((1 + instant % 3))
    others=$((1 + (ranks + RANDOM % 3) % 4))
    directory=$work/study
    forget_victim
    LEAVEOUT_FAULT=slow-tasks:60 study $ranks "$directory" "${set_keys[@]}" >"$work/victim.out" 2>"$work/victim.err" &
    victim=$!
    wait_for 20 forgetting_or_over
    doze 0 700
    launcher=$(children $victim | head -n 1)
    mapfile -t programs < <(if [ $ranks -gt 1 ]; then children "${launcher:-$victim}"; else echo "$launcher"; fi)
    if [ $((RANDOM % 2)) -eq 0 ] && [ ${#programs[@]} -gt 0 ]; then
        kill -9 "${programs[RANDOM % ${#programs[@]}]}" 2>/dev/null
    else
        kill -9 $launcher ${programs[@]+"${programs[@]}"} 2>/dev/null
    fi
    wait $victim 2>/dev/null
    done_then=$(records "$directory" DONE)
    code=0
    "$LEAVEOUT" verify "$directory" >"$work/out" 2>"$work/err" || code=$?
    [ $code -eq 0 ] || [ $code -eq 75 ] || fail "verify says $code"
    expect_code 0 study $others "$directory" "${set_keys[@]}"
    [ "$(records "$directory" DONE)" -eq $((tasks + 2)) ] || fail "$(records "$directory" DONE) tasks were done, not $((tasks + 2))"
    expect_equal "$work/undisturbed" "$directory"
    for file in "$work/undisturbed"/{oracles,unlearned}/*.safetensors; do
        cmp "$file" "$directory/${file#"$work/undisturbed"/}" || fail "${file#"$work/undisturbed"/} differs"
    done
    say "instant $instant: $ranks ranks killed with $done_then of $((tasks + 2)) tasks done, resumed on $others: equal"
    rm -rf "$directory"
done

# Stopped in good order, and gone on with.
forget_victim
LEAVEOUT_FAULT=slow-tasks:20 study 2 "$work/study" "${set_keys[@]}" >"$work/victim.out" 2>"$work/victim.err" &
victim=$!
wait_for 20 forgetting_or_over
expect_code 0 "$LEAVEOUT" stop "$work/study"
code=0
wait $victim || code=$?
[ $code -eq 75 ] || [ $code -eq 0 ] || fail "stopped with code $code"
expect_code 0 study 3 "$work/study" "${set_keys[@]}"
expect_equal "$work/undisturbed" "$work/study"
say "stopped and resumed: equal"

# Two attempts at once: the younger one leaves when all that is left is the other's, which closes the stage.
rm -rf "$work/study"
forget_victim
LEAVEOUT_FAULT=slow-tasks:60 study 1 "$work/study" "${set_keys[@]}" >"$work/victim.out" 2>"$work/victim.err" &
victim=$!
wait_for 20 forgetting_or_over
LEAVEOUT_FAULT=slow-tasks:20 expect_code 0 study 1 "$work/study" "${set_keys[@]}" --join
expect_silence
code=0
wait $victim || code=$?
[ $code -eq 0 ] || fail "the older attempt ended with code $code: $(cat "$work/victim.err")"
[ "$(records "$work/study" DONE)" -eq $((tasks + 2)) ] || fail "$(records "$work/study" DONE) tasks were done by two attempts"
expect_equal "$work/undisturbed" "$work/study"
say "two attempts at once: equal"
