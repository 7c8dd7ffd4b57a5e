#!/bin/bash
# Trainings that outlast their job: out of time before one is finished, stopped, killed after a checkpoint. Each goes on
# from where it was saved, on another number of ranks too; every model is finished once and has the bits of an undisturbed
# run. A damaged checkpoint, and a disk that takes none, cost time only. About 75 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
# Some seconds a model where every tick is slow, on any machine.
long=(--set train.epochs=200 --set ensemble.models=3)
slowly() { LEAVEOUT_FAULT=slow-ticks:100 "$@"; }

expect_code 0 study 2 "$work/undisturbed" "${long[@]}"
expect_text "$work/out" 'event=farmed .* mine=3 given_up=0 saved=0 '
[ -z "$(ls "$work/undisturbed/checkpoints")" ] || fail "undisturbed trainings left checkpoints"

# expect_whole STUDY: each model finished once, the bits of the undisturbed run, no task suspected, nothing left behind.
expect_whole() {
    expect_trained_once "$1" 3
    expect_equal "$work/undisturbed" "$1"
    expect_code 0 "$LEAVEOUT" status "$1"
    expect_text "$work/out" 'done=3 total=3 given_up=0 left=0'
    ! "$LEAVEOUT_TOOLS/journal_records" "$1" | grep -q alone=1 || fail "$1: a task was suspected"
    [ -z "$(ls "$1/checkpoints")" ] || fail "left: $(ls "$1/checkpoints")"
}

# in_seconds SECONDS: the time limit of a job that has these, and the 30 s that the program keeps to itself.
in_seconds() { awk -v now="$(date +%s.%N)" -v seconds="$1" 'BEGIN { printf "%.3f", now + 30 + seconds }'; }

# An attempt with such a limit.
seconds_for() { # SECONDS RANKS STUDY OPTION...: sets $code
    code=0
    local limit=$1 ranks=$2 directory=$3
    shift 3
    LEAVEOUT_END_TIME=$(in_seconds "$limit") slowly study "$ranks" "$directory" "$@" \
        >"$work/out" 2>"$work/err" || code=$?
}

# Time for less than a training, again and again, on changing numbers of ranks. A busy machine may take all of it to start,
# so the time grows; the last attempt has as much as it wants.
directory=$work/limit
attempts=0
saved=0
code=75
while [ $code -eq 75 ]; do
    attempts=$((attempts + 1))
    seconds_for $([ $attempts -le 6 ] && echo $((1 + attempts)).4 || echo 9999) $((1 + attempts % 3)) "$directory" "${long[@]}"
    [ $code -eq 0 ] || expect_text "$work/out" 'event=end status=75 reason="stopped: no time left for another task"'
    if grep -Eq 'event=farmed .* saved=[12] ' "$work/out"; then
        saved=$((saved + 1))
        [ -n "$(ls "$directory/checkpoints")" ] || fail "no checkpoint"
    fi
done
[ $code -eq 0 ] || fail "attempt $attempts ended with $code"
[ $saved -ge 1 ] || fail "no training was interrupted"
expect_whole "$directory"
# What a model took is the sum of its parts: it grows from attempt to attempt.
"$LEAVEOUT_TOOLS/journal_records" "$directory" | awk '
    { split($4, a, "=") }
    $2 == "SAVED" { n++ }
    $2 == "SAVED" || $2 == "DONE" { if (a[2] < part[$3]) bad = 1; part[$3] = a[2] }
    END { exit bad || n < 1 }' || fail "seconds of interrupted models are not sums"
say "out of time $((attempts - 1)) times: equal"

# An original with its log and the weights of some epochs, killed twice and out of time once.
log=(--set ensemble=null --set scores=null --set influence=null --set train.epochs=1000 --set 'model.hidden=[512]'
    --set 'originals={seeds: 2, checkpoints: [1, 400, 999], log: true}')
expect_code 0 study 2 "$work/log" "${log[@]}"
directory=$work/log-killed
for ranks in 1 2; do
    code=0
    LEAVEOUT_FAULT=slow-ticks:100,kill-saved:1 study $ranks "$directory" "${log[@]}" --set train.checkpoint_minutes=0.005 \
        >"$work/out" 2>"$work/err" || code=$?
    [ $code -eq 137 ] || fail "killed on $ranks ranks: code $code"
done
seconds_for 2 2 "$directory" "${log[@]}"
expect_code 0 study 2 "$directory" "${log[@]}"
expect_equal "$work/log" "$directory"
expect_trained_once "$directory" 2
diff -rq "$work/log/originals" "$directory/originals" || fail "other weights"
diff -rq "$work/log/checkpoints" "$directory/checkpoints" || fail "other weights of epochs, or checkpoints left behind"
say "originals with their logs: equal"

# Killed when it has just saved the same training, four times: that is getting on, not killing its rank.
directory=$work/killed
for ranks in 2 3 1 2; do
    code=0
    LEAVEOUT_FAULT=slow-ticks:100,kill-saved:0 study $ranks "$directory" "${long[@]}" --set train.checkpoint_minutes=0.006 \
        >"$work/out" 2>"$work/err" || code=$?
    [ $code -eq 137 ] || fail "killed on $ranks ranks: code $code"
done
expect_code 0 study 3 "$directory" "${long[@]}"
expect_whole "$directory"
say "killed four times after a checkpoint: equal"

# The scheduler's warning in the middle of trainings that cannot end in time; then damage: each of the checkpoints is
# refused, by name, and its training begins again.
directory=$work/damaged
LEAVEOUT_FAULT=slow-ticks:400 LEAVEOUT_END_TIME=$(in_seconds 3.5) study 2 "$directory" "${long[@]}" >"$work/out" 2>"$work/err" &
shell=$!
begun() { "$LEAVEOUT_TOOLS/journal_records" "$directory" 2>/dev/null | grep -q START; }
wait_for 20 begun
sleep 0.3
kill -USR1 "$(children "$(children $shell)" | tail -n 1)"
code=0
wait $shell || code=$?
[ $code -eq 75 ] || fail "stopped by a signal: code $code"
expect_text "$work/out" 'event=farmed .* saved=2 '
mapfile -t files < <(ls "$directory"/checkpoints/ensemble-00000[0-2].ckpt)
[ ${#files[@]} -eq 2 ] || fail "${#files[@]} checkpoints of two trainings"
printf 'x' | dd of="${files[0]}" bs=1 seek=5000 conv=notrunc status=none
truncate -s 3000 "${files[1]}"
expect_code 0 study 1 "$directory" "${long[@]}"
expect_text "$work/err" "warning: ${files[0]}: is damaged: its checksum does not hold; the training begins again"
expect_text "$work/err" "warning: ${files[1]}: is cut short; the training begins again"
expect_whole "$directory"
say "stopped by a signal, checkpoints damaged: equal"

# The batch script, with stand-ins for Slurm: a job that is stopped again and again before any training is finished is
# queued again as long as trainings get further.
mkdir "$work/bin"
cat >"$work/bin/srun" <<'END'
#!/bin/bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
END
cat >"$work/bin/scontrol" <<'END'
#!/bin/bash
kill $PPID # requeueing ends the script
END
chmod +x "$work"/bin/*
one=(--set train.epochs=500 --set ensemble.models=1)
expect_code 0 study 1 "$work/one" "${one[@]}"
directory=$work/batch
for ((restart = 0; restart < 20; restart++)); do
    code=0
    PATH=$work/bin:$PATH SLURM_JOB_ID=12 SLURM_RESTART_COUNT=$restart \
        SLURM_JOB_END_TIME=$(in_seconds $([ $restart -lt 5 ] && echo 2 || echo 999)) \
        slowly bash "$LEAVEOUT_SOURCE/slurm/leaveout.sbatch" "$job" "$directory" "${one[@]}" >"$work/out" 2>"$work/err" || code=$?
    [ $code -eq 143 ] || break
done
[ $code -eq 0 ] || fail "start $restart of the batch script ended with $code"
expect_equal "$work/one" "$directory"
expect_text "$directory/log/requeue.log" '^job=12 restart=[0-9]+ code=75 done=0 saved=1 reason="no time left for another task"$'
say "started $((restart + 1)) times by the batch script: equal"

# A disk that is full just there: said once a rank, and all goes on.
directory=$work/full
mkdir -p "$directory/checkpoints"
if mount -t tmpfs -o size=4k tmpfs "$directory/checkpoints" 2>/dev/null; then
    mounted+=("$directory/checkpoints")
    expect_code 0 slowly study 1 "$directory" "${long[@]}" --set ensemble.models=1 --set train.checkpoint_minutes=0.006
    expect_text "$work/err" 'warning: .*No space left on device; the training goes on without a checkpoint'
    [ "$(grep -c 'without a checkpoint' "$work/err")" -eq 1 ] || fail "not said once"
    expect_trained_once "$directory" 1
    say "no room for checkpoints: complete"
fi

# Two ranks stopped by `leaveout stop` while others' trainings are far from their end save themselves at once.
directory=$work/stopped
study 2 "$directory" "${long[@]}" --set train.epochs=100000 --set model.hidden=[512,512] >"$work/out" 2>"$work/err" &
shell=$!
wait_for 20 begun
sleep 0.3
begun=$SECONDS
"$LEAVEOUT" stop "$directory" >/dev/null || fail stop
code=0
wait $shell || code=$?
[ $code -eq 75 ] || fail "leaveout stop: code $code"
[ $((SECONDS - begun)) -le 6 ] || fail "leaveout stop took $((SECONDS - begun)) s"
expect_text "$work/out" 'event=farmed .* mine=0 given_up=0 saved=2 '
