#!/bin/bash
# Stops in good order: SIGUSR1, SIGTERM and SIGINT to a rank, SIGUSR1 to mpirun, `leaveout stop` from another shell. Exit
# code 75, what is finished is published, status says why, resuming completes with the bits of an undisturbed run. A halt
# left behind by nobody is removed. About 35 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
slow=(--set train.epochs=100 --set ensemble.models=30)
slowly() { LEAVEOUT_FAULT=slow-tasks:300 "$@"; } # at least; long enough to be stopped among them

expect_code 0 study 2 "$work/undisturbed" "${slow[@]}"

some_done() { [ "$(records "$1" DONE)" -ge 3 ]; }

# stopped_by NAME RANKS REASON COMMAND...: runs the command, which may use $launcher and $programs, while models are trained.
stopped_by() {
    local name=$1 ranks=$2 reason=$3 code=0
    shift 3
    directory=$work/$name
    slowly study "$ranks" "$directory" "${slow[@]}" >"$work/out" 2>"$work/err" &
    local shell=$!
    wait_for 30 some_done "$directory"
    launcher=$(children $shell | head -n 1)
    programs=$(if [ "$ranks" -gt 1 ]; then children "$launcher"; else echo "$launcher"; fi)
    "$@" || fail "$*"
    local begun=$SECONDS
    wait $shell || code=$?
    [ $code -eq 75 ] || fail "$name: exit code $code, not 75"
    [ $((SECONDS - begun)) -le 5 ] || fail "$name: took $((SECONDS - begun)) s to stop, with models of 0.3 s"
    expect_text "$work/err" "stopped \($reason\) with [0-9]+ of 30 tasks left; run again to continue"
    expect_text "$directory/status.json" "\"state\": *\"stopped: $reason\""

    # What is finished is published, and not all is.
    local finished
    finished=$(records "$directory" DONE)
    [ "$finished" -ge 3 ] && [ "$finished" -lt 30 ] || fail "$name: $finished models finished"
    expect_text "$work/out" "event=published file=ensemble.h5 models=$finished "
    expect_code 0 "$LEAVEOUT" status "$directory"
    expect_text "$work/out" "stage=ensemble done=$finished total=30 given_up=0 left=$((30 - finished))"
    expect_text "$work/out" "last=\"attempt 1 stopped: $reason\""
    expect_code 75 "$LEAVEOUT" verify "$directory"

    expect_code 0 study $((3 - ranks % 2)) "$directory" "${slow[@]}"
    expect_trained_once "$directory" 30
    expect_equal "$work/undisturbed" "$directory"
    expect_code 0 "$LEAVEOUT" status "$directory"
    expect_text "$work/out" 'state="complete"'
    say "$name: stopped with $finished models finished, then completed: equal"
}

signal_last() { kill "-$1" "$(tail -n 1 <<<"$programs")"; }
signal_launcher() { kill "-$1" "$launcher"; }
ask() { "$LEAVEOUT" stop "$directory" | grep -q 'asked attempt=1'; }

stopped_by usr1-to-one-rank 1 'signal USR1' signal_last USR1
stopped_by term-to-one-rank 1 'signal TERM' signal_last TERM
stopped_by usr1-to-mpirun 2 'signal USR1' signal_launcher USR1
stopped_by term-to-the-last-rank 2 'signal TERM' signal_last TERM
stopped_by int-to-the-last-rank 3 'signal INT' signal_last INT
stopped_by leaveout-stop 2 'asked by leaveout stop' ask

# Open MPI's mpirun passes SIGTERM on, gives its ranks a moment and ends with a code of its own: nothing is lost either.
directory=$work/term-to-mpirun
slowly study 2 "$directory" "${slow[@]}" >"$work/out" 2>"$work/err" &
shell=$!
wait_for 30 some_done "$directory"
kill -TERM "$(children $shell)"
wait $shell && fail "mpirun was terminated and says 0"
expect_code 0 study 2 "$directory" "${slow[@]}"
expect_trained_once "$directory" 30
expect_equal "$work/undisturbed" "$directory"

# Nobody works on it any more: the halt of `leaveout stop` asked for nothing, and stops no later run.
expect_code 0 "$LEAVEOUT" stop "$directory"
expect_text "$work/out" 'nobody works on it'
[ ! -e "$directory/halt" ] || fail "a halt for nobody"
touch "$directory/halt"
expect_code 0 study 2 "$directory" "${slow[@]}" --set ensemble.models=34
[ ! -e "$directory/halt" ] || fail "the halt was not removed"
expect_trained_once "$directory" 34
