#!/bin/bash
# A task that kills its rank every time: after three deaths beside others it is a suspect, run last and alone; after three
# more it is given up, named and skipped, and everything else is finished and scored. About 36 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
more=(--set ensemble.models=24)

for ranks in 1 3; do
    directory=$work/study-$ranks
    attempts=0
    code=137
    while [ $code -ne 70 ]; do
        attempts=$((attempts + 1))
        [ $attempts -le 7 ] || fail "task 5 is not given up after $attempts attempts"
        code=0
        LEAVEOUT_FAULT=kill-task:5 study $ranks "$directory" "${more[@]}" >"$work/out" 2>"$work/err" || code=$?
        [ $code -ne 0 ] || fail "attempt $attempts ended with 0"
        if [ $attempts -lt 7 ]; then
            expect_code 0 "$LEAVEOUT" status "$directory"
            expect_text "$work/out" 'given_up=0 '
        fi
    done
    [ $attempts -eq 7 ] || fail "given up in attempt $attempts; six deaths are to be seen"
    [ "$("$LEAVEOUT_TOOLS/journal_records" "$directory" | awk '$2 == "START" && /task=5 .*alone=0/' | wc -l)" -eq 3 ] ||
        fail "it was not begun three times beside others"
    [ "$("$LEAVEOUT_TOOLS/journal_records" "$directory" | awk '$2 == "START" && /task=5 .*alone=1/' | wc -l)" -eq 3 ] ||
        fail "it was not begun three times alone"
    expect_text "$work/err" 'task 5 of stage ensemble is given up: its rank died 3 times while it ran beside others and 3 times while it ran alone'
    expect_text "$work/err" '1 tasks were given up'
    expect_text "$work/out" 'event=published file=scores.h5 models=23 '
    expect_trained_once "$directory" 23
    expect_code 0 "$LEAVEOUT" status "$directory"
    expect_text "$work/out" 'state="complete except for tasks given up"'
    expect_text "$work/out" 'done=23 total=24 given_up=1 left=0'
    expect_text "$work/out" '^given_up=5$'
    expect_text "$directory/report.html" 'given up'

    # It stays given up, without further ado, and without the fault too.
    expect_code 70 study 2 "$directory" "${more[@]}"
    expect_trained_once "$directory" 23
    # What is left of the work says so with its scores, which open and verify.
    expect_code 0 "$LEAVEOUT" verify "$directory"
    say "$ranks ranks: given up in attempt $attempts"
done

# A death alone with something else to blame counts nothing, however often the study is looked at later: the time limit,
# a node that was lost (Slurm starts the job again, and the batch script has no word about the step).
directory=$work/excused
die() { # NAME=VALUE...: one attempt that dies
    local code=0
    {
        env LEAVEOUT_FAULT=kill-task:5 "$@" "$LEAVEOUT" run "$job" --study "$directory" "${more[@]}" || code=$?
    } >"$work/out" 2>"$work/err"
    [ $code -eq 137 ] || fail "an attempt did not die: $*"
}
for ((i = 0; i < 3; i++)); do
    die beside=others
done
for ((i = 0; i < 4; i++)); do
    die "LEAVEOUT_END_TIME=$(($(date +%s) + 50))"
done
for ((i = 0; i < 4; i++)); do
    die SLURM_JOB_ID=77 SLURM_RESTART_COUNT=$i
done
expect_code 0 "$LEAVEOUT" status "$directory"
expect_text "$work/out" 'given_up=0 left=1'
say "deaths at the time limit and on lost nodes are excused"

# The log of an attempt tells when it last lived, long after its last record: here its rank began the task early and was
# killed at the limit.
directory=$work/limit
for ((i = 0; i < 3; i++)); do
    die beside=others
done
for ((i = 0; i < 4; i++)); do
    end=$(($(date +%s) + 600))
    die "LEAVEOUT_END_TIME=$end"
    touch -d "@$((end - 5))" "$(ls "$directory"/log/attempt-*.log | tail -n 1)"
done
die beside=nobody
expect_code 0 study 1 "$directory" "${more[@]}"
expect_trained_once "$directory" 24

# The innocent, which ran beside it when all ranks died, are all finished; and a run killed from outside while it does
# something harmless again and again gives nothing up.
directory=$work/unlucky
set_keys=(--set train.epochs=800 --set ensemble.models=6)
for ((i = 0; i < 4; i++)); do
    study 2 "$directory" "${set_keys[@]}" >"$work/out" 2>"$work/err" &
    shell=$!
    begun() { "$LEAVEOUT_TOOLS/journal_records" "$directory" 2>/dev/null | grep -q "attempt-00$((i + 1)).* START"; }
    wait_for 20 begun
    kill -9 $(children "$(children $shell)")
    wait $shell
done
expect_code 0 study 2 "$directory" "${set_keys[@]}"
expect_trained_once "$directory" 6
expect_code 0 "$LEAVEOUT" status "$directory"
expect_text "$work/out" 'given_up=0 left=0'
