#!/bin/bash
# A step that dies, once and every time. About 60 s.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
slurm_begin
make_reference

say "one rank is killed once: the job queues itself again"
cat >"$work/once" <<WRAPPER
#!/bin/bash
if [ "\$1" = run ] && [ "\${SLURM_RESTART_COUNT:-0}" = 0 ]; then
    export LEAVEOUT_FAULT=kill-task:17
fi
exec "$program" "\$@"
WRAPPER
chmod +x "$work/once"
LEAVEOUT=$work/once submit "$work/once-study"
expect_completed "$job" 120
[ "$(field "$job" Restarts)" = 1 ] || fail "restarted $(field "$job" Restarts) times"
grep -qE "^job=$job restart=0 code=[0-9]+ reason=\"step died\"" "$work/once-study/log/requeue.log" ||
    fail "no note of the death"
expect_reference "$work/once-study"

say "a program that dies before it begins: a bounded number of times, and the job ends with its code"
printf '#!/bin/bash\nexit 99\n' >"$work/never"
chmod +x "$work/never"
LEAVEOUT=$work/never LEAVEOUT_MAX_REQUEUES=1 submit "$work/never-study"
wait_end "$job" 60
[ "$end $(field "$job" ExitCode) $(field "$job" Restarts)" = "FAILED 99:0 1" ] ||
    fail "a program that always dies: $end $(field "$job" ExitCode), restarts $(field "$job" Restarts)"
