#!/bin/bash
# Oracles and methods that a team of ranks makes together: the same outputs and weights for every team, after kills too,
# whatever team goes on. About 30 seconds, most of them asleep.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
sed -i -e '/^ensemble:/d' -e '/^scores:/d' -e '/^influence:/d' -e '/^model:/d' -e 's/label_noise: 0.05/validation: 0.1/' "$job"
cat >>"$job" <<'END'
model: {preset: layers, layers: [{conv: 4}, batch_norm, relu, {max_pool: 2}, {dropout: 0.2}, flatten, {linear: 10}]}
originals: {seeds: 1}
unlearning:
  forget:
    - {name: some, select: labels, classes: [1, 2, 4, 5], size: 50}
    - {name: three, select: class, classes: 3}
  sequence: [three, some]
  methods: [{name: finetune, epochs: 4}, {name: salun, epochs: 3}, {name: del, epochs: 3}, {name: scrub, epochs: 2},
    {name: nabla_tau, epochs: 3}, {name: imu, epochs: 2}, {name: ssd}]
  seeds: 1
  oracles: 1
  matched: true
END
tasks=25 # an original and its outputs; oracles and methods for each of two sets; the first oracle by each method
team() { # RANKS TEAM THREADS DIR OPTION...
    local ranks=$1 size=$2 threads=$3 directory=$4
    shift 4
    study "$ranks" "$directory" --set train.slices=4 --set train.team="$size" --set train.threads="$threads" "$@"
}
# expect_whole STUDY: each task once, with the bits and weights of one rank alone; nothing is left behind.
expect_whole() {
    [ "$(records "$1" DONE)" -eq $tasks ] || fail "$1: $(records "$1" DONE) tasks were done, not $tasks"
    expect_equal "$work/alone" "$1"
    local folder
    for folder in oracles unlearned; do
        diff -rq "$work/alone/$folder" "$1/$folder" || fail "$1: other weights"
    done
    ! "$LEAVEOUT_TOOLS/journal_records" "$1" | grep -q alone=1 || fail "$1: a task was suspected"
    [ -z "$(ls "$1/checkpoints")" ] || fail "left: $(ls "$1/checkpoints")"
}

expect_code 0 team 1 1 1 "$work/alone"
expect_code 0 "$LEAVEOUT" verify "$work/alone"
[ "$(ls "$work/alone/unlearned" | wc -l)" -eq 14 ] || fail "not 14 models: $(ls "$work/alone/unlearned")"
for which in '2 2 1' '4 2 1' '2 2 2'; do
    read -r ranks size threads <<<"$which"
    directory="$work/team-${which// /-}"
    expect_code 0 team "$ranks" "$size" "$threads" "$directory"
    expect_whole "$directory"
done
say "teams of 1 and 2 ranks, and of threads, agree"

# ranks_of PID: the processes of an mpirun, in the order of their ranks.
ranks_of() {
    local pid
    for pid in $(children "$1"); do
        echo "$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^OMPI_COMM_WORLD_RANK=//p') $pid"
    done | sort -n | cut -d ' ' -f 2
}
forgetting() { grep -q 'event=unlearned' "$work/victim.out" || ! kill -0 "$shell" 2>/dev/null; }
# in_background RANKS TEAM: a slow run, left when the first model has forgotten; sets $shell.
in_background() {
    : >"$work/victim.out"
    LEAVEOUT_FAULT=slow-ticks:100,slow-tasks:200 team "$1" "$2" 1 "$directory" >"$work/victim.out" 2>"$work/victim.err" &
    shell=$!
    wait_for 60 forgetting
}

# The rank that follows is killed in the middle of the stage, then the one that leads; others go on.
directory=$work/killed
for victim in 1 0; do
    in_background 2 2
    mapfile -t rank < <(ranks_of "$(children $shell | head -n 1)")
    [ ${#rank[@]} -eq 2 ] || fail "ranks: ${rank[*]}"
    kill -KILL "${rank[victim]}"
    code=0
    wait $shell || code=$?
    [ $code -eq 137 ] || fail "code $code, not 137"
    say "rank $victim killed after $(records "$directory" DONE) tasks"
done
expect_code 0 team 1 1 1 "$directory"
expect_whole "$directory"
say "killed in a team, resumed by one rank: equal"

# A team is killed when it has just saved a method between two epochs; a rank alone goes on from there, or one with threads.
for which in 'finetune 1' 'nabla_tau 2' 'imu 1'; do
    read -r method threads <<<"$which"
    number=$(($(grep -n " $method " "$work/alone/unlearning.tasks" | head -n 1 | cut -d : -f 1) - 2)) # behind a line of heading, from 0
    [ $number -ge 0 ] || fail "no task of $method: $(cat "$work/alone/unlearning.tasks")"
    directory=$work/saved-$method
    code=0
    LEAVEOUT_FAULT=kill-saved:$number team 2 2 1 "$directory" --set train.checkpoint_minutes=0.000001 >"$work/out" 2>"$work/err" || code=$?
    [ $code -eq 137 ] || fail "killed when $method was saved: code $code"
    [ -n "$(ls "$directory/checkpoints")" ] || fail "$method was not saved"
    expect_code 0 team 1 1 "$threads" "$directory"
    expect_no_text "$work/err" 'begins again'
    expect_whole "$directory"
    say "killed after a checkpoint of $method: equal"
done

# A rank alone is killed; a team goes on.
directory=$work/alone-killed
in_background 1 1
kill -KILL "$(children $shell | head -n 1)"
wait $shell 2>/dev/null
expect_code 0 team 2 2 1 "$directory"
expect_whole "$directory"
say "killed alone, resumed by a team: equal"
