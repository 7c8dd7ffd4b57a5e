#!/bin/bash
# How far off `leaveout plan` is about stage attribution: small jobs of every method and form are planned and run, on so many
# ranks. Prints a line a job: planned and measured seconds of the stage, and by how much the plan is off; fails (exit code 1)
# when the median of that is above 25 %. Ten minutes or so; the machine should be quiet, or $PREFIX (such as "chrt -f 5 taskset
# -c 1", for one rank) see to it that others do not count.
#   LEAVEOUT=build/release/leaveout tests/bench/attribution_plan.sh [RANKS [JOB...]]
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
program=${LEAVEOUT:-$source/build/release/leaveout}
ranks=${1:-1}
[ $# -eq 0 ] || shift
data=/usr/share/datasets/fashion-mnist
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_hwloc_base_binding_policy=none
export PMIX_MCA_psec=native OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
unset SLURM_JOB_ID SLURM_RESTART_COUNT LEAVEOUT_END_TIME
if [ ! -d "$data" ]; then
    echo "skipped: no $data (Debian: dataset-fashion-mnist)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# job NAME TRAIN TEST MODEL ATTRIBUTION
job() {
    names+=("$1")
    {
        echo "data: {format: idx, path: $data, train_limit: $2, test_limit: $3, label_noise: 0.05}"
        echo "model: {$4}"
        echo "attribution: {$5}"
        case $5 in *"model: "*)
            echo 'train: {epochs: 8, batch: 64, optimizer: {name: sgd, lr: 0.05, momentum: 0.9, weight_decay: 5.0e-4}}'
            echo 'originals: {seeds: 1}'
            ;;
        esac
    } >"$work/$1.yaml"
}
names=()
mlp='preset: mlp, hidden: [64]'
small='preset: layers, layers: [{conv: 4, stride: 2}, relu, {conv: 6, stride: 2}, relu, mean_pool, flatten, {linear: 24}, relu, {linear: 10}]'
job exact 600 300 'preset: linear' 'methods: [ridge_loo, kernel_ridge_loo, alo, certified_loo], penalty: 1.0e-3'
job ridge 8000 2000 'preset: linear' 'methods: [ridge_loo], penalty: 1.0e-3'
job kernel 2500 1000 'preset: linear' 'methods: [kernel_ridge_loo], kernel: rbf, penalty: 1.0e-3'
job alo 2000 500 'preset: linear' 'methods: [alo], penalty: 1.0e-3'
job certified 1200 200 'preset: linear' 'methods: [certified_loo], penalty: 1.0e-3'
job ggn 1500 500 'preset: linear' 'methods: [ggn], penalty: 1.0e-3'
job features 2000 1000 "$mlp" 'methods: [certified_loo], model: features, penalty: 1.0e-3'
job dual 400 200 "$mlp" 'methods: [ggn], model: network, damping: 1.0e-2'
job dual-conv 400 200 "$small" 'methods: [ggn], model: network, form: dual, damping: 1.0e-2'
job primal 1500 500 "$small" 'methods: [ggn], model: network, form: primal, damping: 1.0e-2'
job hessian 400 200 "$small" 'methods: [hessian], model: network, damping: 1.0e-1'
job spectrum 300 200 "$mlp" 'methods: [ggn], model: network, damping: 1.0e-2, spectrum: true'
job keep 300 200 "$mlp" 'methods: [ggn], model: network, damping: 1.0e-2, keep: true'
[ $# -eq 0 ] || names=("$@")

on_ranks() {
    if [ "$ranks" -eq 1 ]; then
        ${PREFIX-} "$program" "$@"
    else
        mpirun --oversubscribe -n "$ranks" ${PREFIX-} "$program" "$@"
    fi
}

offs=()
for name in "${names[@]}"; do
    rm -rf "$work/study"
    on_ranks plan "$work/$name.yaml" --ranks "$ranks,$((2 * ranks))" --study "$work/planned" >"$work/plan"
    on_ranks run "$work/$name.yaml" --study "$work/study" >"$work/run" 2>&1
    planned=$(sed -n "s/^strong ranks=$ranks stage=attribution wall_s=\([0-9.]*\).*/\1/p" "$work/plan")
    measured=$(sed -n 's/.*event=published file=attribution.h5.* seconds=\([0-9.]*\).*/\1/p' "$work"/study/log/attempt-001.log)
    off=$(awk -v p="$planned" -v m="$measured" 'BEGIN { printf "%+.0f", 100 * (p / m - 1) }')
    echo "job=$name ranks=$ranks planned_s=$planned measured_s=$measured off_percent=$off"
    offs+=("${off#[+-]}")
    [ -z "${PARTS-}" ] || grep -hE 'event=(part|fitted|sized|kept) ' "$work"/study/log/attempt-001.log | sed 's/^[^ ]* /  /'
done
median=$(printf '%s\n' "${offs[@]}" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')
echo "median off_percent=$median"
[ "$median" -le 25 ]
