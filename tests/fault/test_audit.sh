#!/bin/bash
# test_audit.sh [INSTANTS [SEED]]: SIGKILL of one rank or of all while models are audited, resumed with another number of
# ranks: no finished row is audited again, and audit.h5 is that of an undisturbed run. A study that grows by a method
# audits the rows of that one alone. About 25 seconds.
. "$(dirname "$0")/../lib.sh"
instants=${1:-3}
RANDOM=${2:-7}
make_job "$job"
sed -i -e '/^influence:/d' -e '/^scores:/d' -e 's/label_noise: 0.05/label_noise: 0.1/' "$job"
cat >>"$job" <<'END'
scores: [memorization]
originals: {seeds: 3}
unlearning:
  forget: [{name: mix, select: mix, by: memorization, size: 60}, {name: three, select: class, classes: 3}]
  methods: [finetune, {name: rum, by: memorization, inner: [none, finetune, neggrad]}]
  seeds: 3
  oracles: 3
audit: {}
END
# Of each set 3 originals, 3 oracles, 2 methods with 3 seeds: a row each, and what their seeds have together.
rows=24
together=6
models=$((20 + 3 + 2 * 9 + 3)) # trained or evaluated before the audit

expect_code 0 study 2 "$work/undisturbed"
expect_text "$work/out" "event=published file=audit.h5 rows=$rows"
audited() { "$LEAVEOUT_TOOLS/journal_records" "$1" | awk '$2 == "DONE"' | wc -l; }
all=$(audited "$work/undisturbed")
[ "$all" -eq $((models + rows + together)) ] || fail "$all tasks are done, not $((models + rows + together))"

# The audit is that of any number of ranks.
for ranks in 1 3 4; do
    cp -r "$work/undisturbed" "$work/study"
    rm -rf "$work/study/audit.h5" "$work/study/receipts"
    expect_code 0 study $ranks "$work/study"
    expect_text "$work/out" 'event=published file=audit.h5'
    [ "$(audited "$work/study")" -eq "$all" ] || fail "what the journals hold was audited again"
    expect_equal "$work/undisturbed" "$work/study"
    rm -rf "$work/study"
done
say "published again from the journals: equal"

auditing_or_over() { grep -q 'event=resume stage=audit' "$work/victim.out" || ! kill -0 "$victim" 2>/dev/null; }
doze() { sleep "$(awk -v from="$1" -v to="$2" -v r=$RANDOM 'BEGIN { printf "%.4f", (from + (to - from) * r / 32768) / 1000 }')"; }

# A study without its audit, to begin with.
expect_code 0 study 2 "$work/before" --set audit=null
for ((instant = 0; instant < instants; instant++)); do
    ranks=$((1 + instant % 3))
    others=$((1 + (ranks + RANDOM % 3) % 4))
    cp -r "$work/before" "$work/study"
    : >"$work/victim.out"
    LEAVEOUT_FAULT=slow-tasks:60 study $ranks "$work/study" >"$work/victim.out" 2>"$work/victim.err" &
    victim=$!
    wait_for 20 auditing_or_over
    doze 100 900
    launcher=$(children $victim | head -n 1)
    mapfile -t programs < <(if [ $ranks -gt 1 ]; then children "${launcher:-$victim}"; else echo "$launcher"; fi)
    if [ $((RANDOM % 2)) -eq 0 ] && [ ${#programs[@]} -gt 0 ]; then
        kill -9 "${programs[RANDOM % ${#programs[@]}]}" 2>/dev/null
    else
        kill -9 $launcher ${programs[@]+"${programs[@]}"} 2>/dev/null
    fi
    wait $victim 2>/dev/null
    done_then=$(audited "$work/study")
    [ ! -f "$work/study/audit.h5" ] || [ "$done_then" -eq "$all" ] || fail "audit.h5 is there with $done_then of $all tasks done"
    expect_code 0 study $others "$work/study"
    [ "$(audited "$work/study")" -eq "$all" ] || fail "$(audited "$work/study") tasks were done, not $all"
    expect_equal "$work/undisturbed" "$work/study"
    say "instant $instant: $ranks ranks killed with $((done_then - models)) of $((rows + together)) tasks of the audit done, resumed on $others: equal"
    rm -rf "$work/study"
done

# One more method: its runs, their rows, and what their seeds have together; nothing else is done again.
sed -i 's/methods: \[finetune,/methods: [neggrad, finetune,/' "$job"
expect_code 0 study 2 "$work/undisturbed"
grown=$(audited "$work/undisturbed")
[ "$grown" -eq $((all + 6 + 6 + 2)) ] || fail "a new method took $((grown - all)) tasks, not 14"
expect_code 0 study 1 "$work/fresh"
expect_equal "$work/fresh" "$work/undisturbed"
say "ok"
