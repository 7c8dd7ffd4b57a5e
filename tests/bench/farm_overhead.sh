#!/bin/bash
# What the farm costs: two ranks do an ensemble, against two independent single-rank runs of half of it each at the same
# time, in interleaved pairs; and, beside it, against one rank that does all of it. Medians of the ratios, and their range.
# "stage" is the time of the ensemble stage that the runs log (event=farmed), "program" all of the run, launcher included,
# "cpu" the processor time of it, which other work on the machine disturbs less. overhead: the share of the two ranks' time
# that went into waiting for tasks, the end of the other's last one included, and into writing records.
# Needs a quiet machine with two cores: fails (exit code 1) when the median stage ratio is above 1.03.
#   LEAVEOUT=build/release/leaveout tests/bench/farm_overhead.sh [PAIRS [MODELS]]
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
program=${LEAVEOUT:-$source/build/release/leaveout}
pairs=${1:-5}
models=${2:-24}
data=/usr/share/datasets/fashion-mnist
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_hwloc_base_binding_policy=none
unset SLURM_JOB_ID SLURM_RESTART_COUNT LEAVEOUT_END_TIME

if [ ! -d "$data" ]; then
    echo "skipped: no $data (Debian: dataset-fashion-mnist)"
    exit 77
fi
if [ "$(nproc)" -lt 2 ]; then
    echo "skipped: one core only"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/job.yaml" <<JOB
data: {format: idx, path: $data, train_limit: 4000, test_limit: 2000}
model: {preset: mlp, hidden: [512]}
train: {epochs: 15, batch: 128, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}}
ensemble: {models: $models, ratio: 0.7, design: random}
JOB

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.3f", b - a }'; }
stage() { sed -n 's/.*event=farmed .* seconds=\([0-9.]*\) .*/\1/p' "$1"; }
field() { sed -n "s/.*event=farmed .* $2=\([0-9.]*\).*/\1/p" "$1"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f", a / b }'; }
larger() { awk -v a="$1" -v b="$2" 'BEGIN { print (a > b ? a : b) }'; }
# The prepared data are no part of what is compared: every study starts with them.
fresh() {
    rm -rf "${work:?}/$1"
    mkdir "$work/$1"
    if [ -d "$work/cache" ]; then
        cp -r "$work/cache" "$work/$1/cache"
    fi
}
run() { # NAME MODELS SEED [LAUNCHER ...]
    local name=$1 count=$2 seed=$3
    shift 3
    "$@" "$program" run "$work/job.yaml" --study "$work/$name" --set "ensemble.models=$count" --set "seed=$seed" \
        >"$work/$name.log"
}
median() { printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
range() { printf '%s\n' "$@" | sort -n | awk 'NR == 1 { low = $1 } { high = $1 } END { print low "-" high }'; }

# Processor seconds of all children so far.
cpu() {
    times >"$work/times" # not in a pipe: that would be a shell of its own, without children
    awk 'NR == 2 { split($1 $2, t, /[ms]/); print 60 * t[1] + t[2] + 60 * t[3] + t[4] }' "$work/times"
}
less() { awk -v a="$1" -v b="$2" 'BEGIN { print a - b }'; }

fresh first
run first 1 1
cp -r "$work/first/cache" "$work/cache"
stage_ratios=() program_ratios=() cpu_ratios=() one_ratios=()
for pair in $(seq "$pairs"); do
    fresh both
    cpu >"$work/cpu0"
    start=$(now)
    run both "$models" 1 mpirun -n 2
    both=$(since "$start")
    cpu >"$work/cpu1"
    both_stage=$(stage "$work/both.log")

    fresh left
    fresh right
    start=$(now)
    run left $((models / 2)) 1 mpirun -n 1 &
    left=$!
    run right $((models / 2)) 1 mpirun -n 1
    wait "$left"
    apart=$(since "$start")
    cpu >"$work/cpu2"
    apart_stage=$(larger "$(stage "$work/left.log")" "$(stage "$work/right.log")")

    fresh one
    run one "$models" 1
    one_stage=$(stage "$work/one.log")

    stage_ratios+=("$(ratio "$both_stage" "$apart_stage")")
    program_ratios+=("$(ratio "$both" "$apart")")
    cpu_ratios+=("$(ratio "$(less "$(cat "$work/cpu1")" "$(cat "$work/cpu0")")" \
        "$(less "$(cat "$work/cpu2")" "$(cat "$work/cpu1")")")")
    overhead=$(awk -v i="$(field "$work/both.log" idle_s)" -v r="$(field "$work/both.log" record_s)" -v s="$both_stage" \
        'BEGIN { printf "%.4f", (i + r) / (2 * s) }')
    one_ratios+=("$(ratio "$one_stage" "$both_stage")")
    echo "pair=$pair two_ranks_s=$both_stage apart_s=$apart_stage one_rank_s=$one_stage ratio=${stage_ratios[-1]}" \
        "program_ratio=${program_ratios[-1]} cpu_ratio=${cpu_ratios[-1]} one_to_two=${one_ratios[-1]} overhead=$overhead"
done
result=$(median "${stage_ratios[@]}")
echo "median of $pairs pairs, $models models: two ranks / two runs apart: stage $result ($(range "${stage_ratios[@]}")," \
    "at most 1.03), program $(median "${program_ratios[@]}") ($(range "${program_ratios[@]}")), cpu" \
    "$(median "${cpu_ratios[@]}") ($(range "${cpu_ratios[@]}"));" \
    "one rank / two ranks: $(median "${one_ratios[@]}") ($(range "${one_ratios[@]}"))"
awk -v r="$result" 'BEGIN { exit !(r <= 1.03) }'
