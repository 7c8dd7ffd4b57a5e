#!/bin/bash
# A rank that falls silent ends the attempt, with code 71, and what was finished is kept; a job that is suspended as a
# whole goes on. About 25 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
slow=(--set train.epochs=800 --set ensemble.models=30)
export LEAVEOUT_SILENT_SECONDS=6

expect_code 0 study 2 "$work/undisturbed" "${slow[@]}"

some_done() { [ "$(records "$1" DONE)" -ge 3 ]; }

# begin DIR: sets $shell, and $ranks to the pids of both ranks.
begin() {
    study 2 "$1" "${slow[@]}" >"$work/out" 2>"$work/err" &
    shell=$!
    wait_for 30 some_done "$1"
    mapfile -t ranks < <(children "$(children $shell | head -n 1)")
    [ ${#ranks[@]} -eq 2 ] || fail "${#ranks[@]} ranks"
}

begin "$work/silent"
silent=
for pid in "${ranks[@]}"; do
    tr '\0' '\n' <"/proc/$pid/environ" | grep -qx OMPI_COMM_WORLD_RANK=1 && silent=$pid
done
kill -STOP "$silent" || fail "no rank 1"
code=0
wait $shell || code=$?
[ $code -eq 71 ] || fail "a silent rank: exit code $code, not 71"
expect_text "$work/err" 'warning: rank 1 has been silent for 6 s'
# mpirun wakes the silent rank to end it, which may have the time to finish its task.
[ "$(records "$work/silent" DONE)" -ge 28 ] || fail "rank 0 did not go on with what was left"
expect_code 0 study 1 "$work/silent" "${slow[@]}"
expect_trained_once "$work/silent" 30
expect_equal "$work/undisturbed" "$work/silent"
say "a silent rank ended the attempt"

begin "$work/suspended"
kill -STOP "${ranks[@]}"
sleep 8
kill -CONT "${ranks[@]}"
wait $shell || fail "a job that was suspended ended with $?"
expect_trained_once "$work/suspended" 30
expect_equal "$work/undisturbed" "$work/suspended"
say "a suspended job went on"
