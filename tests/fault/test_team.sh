#!/bin/bash
# Ranks and threads that train one model together: the same bits for every team, after kills and stops too, whatever team
# goes on with a checkpoint; a rank that falls silent is noticed, those that follow another are not. About 75 seconds, most of them asleep.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
slices=(--set model=null --set 'model={preset: layers, layers: [{conv: 8}, batch_norm, relu, {max_pool: 2}, {conv: 16}, batch_norm,
    relu, {dropout: 0.2}, flatten, {linear: 10}]}' --set train.slices=8 --set 'train.augment=[flip, crop]' --set train.crop=1
    --set ensemble.models=3 --set ensemble.keep_models=2)
team() { # RANKS TEAM THREADS DIR OPTION...
    local ranks=$1 size=$2 threads=$3 directory=$4
    shift 4
    study "$ranks" "$directory" "${slices[@]}" --set train.team="$size" --set train.threads="$threads" "$@"
}
# expect_whole STUDY MODELS: each model once, with the bits and weights of one rank alone; nothing is left behind.
expect_whole() {
    expect_trained_once "$1" "$2"
    expect_equal "$work/alone" "$1"
    diff -rq "$work/alone/models" "$1/models" || fail "$1: other weights"
    ! "$LEAVEOUT_TOOLS/journal_records" "$1" | grep -q alone=1 || fail "$1: a task was suspected"
    [ -z "$(ls "$1/checkpoints")" ] || fail "left: $(ls "$1/checkpoints")"
}

expect_code 0 team 1 1 1 "$work/alone"
expect_code 0 "$LEAVEOUT" verify "$work/alone"
for which in '2 1 1' '2 2 1' '4 2 1' '4 4 1' '1 1 2' '2 2 2'; do
    read -r ranks size threads <<<"$which"
    directory="$work/team-${which// /-}"
    expect_code 0 team "$ranks" "$size" "$threads" "$directory"
    expect_whole "$directory" 3
done
# Other slices are another recipe: other bits, and not the same study.
expect_code 2 team 2 2 1 "$work/alone" --set train.slices=4
expect_text "$work/err" 'train.slices'
expect_code 0 team 1 1 1 "$work/four" --set train.slices=4
"$LEAVEOUT_TOOLS/compare_studies" "$work/alone" "$work/four" >/dev/null && fail "4 slices have the bits of 8"
say "teams of 1, 2 and 4 ranks and of threads agree"

# Killed when it has just saved itself: other teams go on.
directory=$work/killed
for which in '2 2 1' '1 1 1' '4 4 1' '2 2 2'; do
    read -r ranks size threads <<<"$which"
    code=0
    LEAVEOUT_FAULT=slow-ticks:500,kill-saved:0 team "$ranks" "$size" "$threads" "$directory" \
        --set train.checkpoint_minutes=0.0005 >"$work/out" 2>"$work/err" || code=$?
    [ $code -eq 137 ] || fail "killed on $ranks ranks: code $code"
    [ -s "$directory/checkpoints/ensemble-000000.ckpt" ] || fail "no checkpoint"
done
expect_code 0 team 4 2 1 "$directory"
expect_whole "$directory" 3
say "killed after checkpoints of four teams: equal"

# An original with its log, whose examples come from all members.
log=(--set ensemble=null --set scores=null --set influence=null
    --set 'originals={seeds: 1, checkpoints: [1, 3], log: true}')
expect_code 0 team 1 1 1 "$work/log" "${log[@]}"
directory=$work/log-team
code=0
LEAVEOUT_FAULT=slow-ticks:500,kill-saved:0 team 4 2 1 "$directory" "${log[@]}" --set train.checkpoint_minutes=0.002 \
    >"$work/out" 2>"$work/err" || code=$?
[ $code -eq 137 ] || fail "originals killed: code $code"
expect_code 0 team 2 2 2 "$directory" "${log[@]}"
expect_equal "$work/log" "$directory"
diff -rq "$work/log/originals" "$directory/originals" || fail "other weights"
diff -rq "$work/log/checkpoints" "$directory/checkpoints" || fail "other weights of epochs, or checkpoints left behind"
say "originals with their logs: equal"

# ranks_of PID: the processes of an mpirun, in the order of their ranks.
ranks_of() {
    local pid
    for pid in $(children "$1"); do
        echo "$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^OMPI_COMM_WORLD_RANK=//p') $pid"
    done | sort -n | cut -d ' ' -f 2
}
begun() { "$LEAVEOUT_TOOLS/journal_records" "$directory" 2>/dev/null | grep -q START; }
# in_background DIR OPTION...: trainings of a team of two that take some seconds each; sets $shell and the array $rank.
in_background() {
    directory=$1
    shift
    LEAVEOUT_FAULT=slow-ticks:3000 team 2 2 1 "$directory" "$@" >"$work/out" 2>"$work/err" &
    shell=$!
    wait_for 20 begun
    sleep 0.5
    mapfile -t rank < <(ranks_of "$(children $shell | head -n 1)")
    [ ${#rank[@]} -eq 2 ] || fail "ranks: ${rank[*]}"
}
ended_with() {
    code=0
    wait $shell || code=$?
    [ $code -eq "$1" ] || fail "code $code, not $1"
}

# A signal to the rank that follows: the team saves itself, and one rank goes on.
LEAVEOUT_END_TIME=$(($(date +%s) + 34)) in_background "$work/stopped"
kill -USR1 "${rank[1]}"
ended_with 75
expect_text "$work/out" 'event=farmed .* saved=1 '
expect_code 0 team 1 1 2 "$directory"
expect_whole "$directory" 3

# The follower is killed, and the attempt with it.
in_background "$work/follower" --set train.checkpoint_minutes=0.005
saved() { [ -s "$directory/checkpoints/ensemble-000000.ckpt" ]; }
wait_for 20 saved
kill -KILL "${rank[1]}"
ended_with 137
expect_code 0 team 4 4 1 "$directory"
expect_whole "$directory" 3

# leaveout stop far from a training's end.
in_background "$work/halted" --set train.epochs=100000
"$LEAVEOUT" stop "$directory" >/dev/null || fail stop
ended_with 75
expect_text "$work/out" 'event=farmed .* mine=0 given_up=0 saved=1 '
say "stopped and killed at a rank that follows: equal"

# Whoever follows speaks for itself: it is missed when it is suspended, and only then.
export LEAVEOUT_SILENT_SECONDS=7
LEAVEOUT_FAULT=slow-ticks:3000 expect_code 0 team 2 2 1 "$work/slow" --set ensemble.models=1 --set ensemble.keep_models=0
seconds=$("$LEAVEOUT_TOOLS/journal_records" "$work/slow" | awk '$2 == "DONE" { split($4, a, "="); print int(a[2]) }')
[ "$seconds" -ge 8 ] || fail "only $seconds s"
in_background "$work/silent"
kill -STOP "${rank[1]}"
ended_with 71
kill -KILL "${rank[1]}" 2>/dev/null
expect_text "$work/err" 'rank 1 has been silent for [0-9]+ s'
say "a silent follower ends the attempt"
