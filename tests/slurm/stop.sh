#!/bin/bash
# Signals, cancelling and stopping under Slurm. About 60 s.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
slurm_begin
make_reference

say "the scheduler's warning: stops in good order, queues itself again, finishes"
submit "$work/warned"
wait_models "$work/warned" 5
scancel --signal=USR1 "$job.0"
expect_completed "$job" 120
[ "$(field "$job" Restarts)" = 1 ] || fail "restarted $(field "$job" Restarts) times"
grep -qE "^job=$job restart=0 code=75 done=[1-9][0-9]* saved=[0-9]+ reason=\"signal USR1\"" "$work/warned/log/requeue.log" ||
    fail "no note of the stop"
expect_reference "$work/warned"

say "scancel leaves a study that another job goes on with"
submit "$work/study"
wait_models "$work/study" 5
scancel "$job"
wait_end "$job" 60
[ "$end" = CANCELLED ] || fail "a cancelled job is $end"
[ "$(finished "$work/study")" -lt "$MODELS" ] || fail "cancelled too late to say anything"

say "leaveout stop ends the job, and it is not queued again"
submit "$work/study"
done=$(finished "$work/study")
wait_models "$work/study" $((done + 2))
"$program" stop "$work/study"
wait_end "$job" 60
[ "$end $(field "$job" ExitCode) $(field "$job" Restarts)" = "FAILED 75:0 0" ] ||
    fail "a stopped job: $end $(field "$job" ExitCode), restarts $(field "$job" Restarts)"
[ "$(finished "$work/study")" -lt "$MODELS" ] || fail "stopped too late to say anything"
submit "$work/study"
expect_completed "$job" 90
expect_reference "$work/study"
