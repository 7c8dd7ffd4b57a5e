#!/bin/bash
# How cost grows, as measured and as predicted: one job on 1 and 2 ranks, stage by stage, beside what `leaveout plan` says
# under mpirun on as many ranks; as many models a rank on 1 and 2 ranks; time and memory of one model against the number of
# examples; the standard error of memorization against the number of models, which should fall as 1 / sqrt(models). Prints
# tables; judges nothing. Needs a quiet machine with two cores. About five minutes there.
#   LEAVEOUT=build/release/leaveout tests/bench/scaling.sh [MODELS [RANKS...]]
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
program=${LEAVEOUT:-$source/build/release/leaveout}
models=${1:-64}
ranks=("${@:2}")
[ ${#ranks[@]} -gt 0 ] || ranks=(1 2)
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
cat >"$work/job.yaml" <<JOB
data: {format: idx, path: $data, train_limit: 4000, test_limit: 2000}
model: {preset: mlp, hidden: [256]}
train: {epochs: 10, batch: 128, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}}
originals: {seeds: 4, checkpoints: [2, 5]}
ensemble: {models: $models, ratio: 0.7}
scores: [memorization, confidence, loss_curvature, final_loss]
influence: {top: 0}
JOB
cp "$work/job.yaml" "$work/all.yaml"
cat >>"$work/all.yaml" <<JOB
attribution: {methods: [ridge_loo, kernel_ridge_loo], targets: test}
unlearning:
  forget: [{name: random10, select: random, share: 0.1}]
  methods: [finetune, neggrad_plus, salun, del, {name: rum, by: confidence}]
  seeds: 4
  oracles: 4
audit: {}
JOB
sed -i 's/test_limit: 2000}/test_limit: 2000, validation: 0.1}/' "$work/all.yaml"

field() { grep -E -- "$2" "$1" | sed -n "s/.* $3=\([0-9.]*\).*/\1/p" | head -n 1; }
percent() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", 100 * (a / b - 1) }'; }
on() { mpirun --oversubscribe -n "$1" "$program" "${@:2}"; }
study() { on "$1" run "$work/job.yaml" --study "$2" "${@:3}" >"$work/log"; }
# published FILE: what its stage took to compute and publish it.
published() { field "$work/log" "event=published file=$1" seconds; }
line() { # STAGE MEASURED PREDICTED
    [ -z "$2" ] || [ -z "$3" ] || echo "strong ranks=$r stage=$1 measured_s=$2 predicted_s=$3 error_percent=$(percent "$3" "$2")"
}

echo "# strong scaling"
for r in "${ranks[@]}"; do
    rm -rf "$work/study"
    on "$r" plan "$work/all.yaml" --ranks "$r" --study "$work/study" >"$work/plan"
    start=$(date +%s.%N)
    on "$r" run "$work/all.yaml" --study "$work/study" >"$work/log"
    took=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f", b - a }')
    for stage in originals ensemble unlearning; do
        line $stage "$(field "$work/log" "event=farmed stage=$stage" seconds)" "$(field "$work/plan" "^stage=$stage" wall_s)"
    done
    for stage in scores influence attribution audit; do
        line $stage "$(published $stage.h5)" "$(field "$work/plan" "^stage=$stage" wall_s)"
    done
    line all "$took" "$(field "$work/plan" '^total' wall_s)"
    "$program" plan --study "$work/study" --ranks "$r" | grep '^checked ' || true
done

each=$((models / 4))
echo "# weak scaling: $each models a rank"
for r in "${ranks[@]}"; do
    rm -rf "$work/study"
    on "$r" plan "$work/job.yaml" --ranks "$r" --study "$work/study" --set "ensemble.models=$((each * r))" >"$work/plan"
    study "$r" "$work/study" --set "ensemble.models=$((each * r))"
    echo "weak ranks=$r models=$((each * r)) measured_s=$(field "$work/log" 'event=farmed stage=ensemble' seconds)" \
        "predicted_s=$(field "$work/plan" '^stage=ensemble' wall_s)"
done

echo "# time and memory against n: one rank"
for n in 1000 2000 4000 8000 16000; do
    rm -rf "$work/study"
    study 1 "$work/study" --set data.train_limit=$n --set ensemble.models=4 --set originals.seeds=1 \
        --set 'scores=[memorization]'
    "$program" plan "$work/job.yaml" --set data.train_limit=$n --set ensemble.models=4 >"$work/plan"
    echo "n=$n model_s=$(awk -v s="$(field "$work/log" 'event=farmed stage=ensemble' seconds)" 'BEGIN { printf "%.3f", s / 4 }')" \
        "planned_model_s=$(field "$work/plan" '^stage=ensemble' seconds_per_model)" \
        "peak_mib=$(field "$work/log" 'event=usage' peak_memory_per_rank_mib)" \
        "planned_mb=$(sed -n 's/^memory_per_rank_mb=\([0-9]*\).*/\1/p' "$work/plan")"
done

# The first models of an ensemble are an ensemble: the study is run with more and more of them.
echo "# error against models"
rm -rf "$work/study"
for m in $((models / 8)) $((models / 4)) $((models / 2)) "$models"; do
    study "${ranks[-1]}" "$work/study" --set "ensemble.models=$m" --set 'scores=[memorization]'
    "$program" export "$work/study" scores --out "$work/scores.csv" >/dev/null
    awk -F, -v m="$m" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == "memorization_standard_error" || $i == "memorization_error") c = i
            if (!c) { print "no standard error in the columns: " $0; exit 1 } next }
        $c != "" && $c != "nan" { sum += $c; n++ }
        END { if (n) printf "models=%d mean_standard_error=%.5f times_root_models=%.3f examples=%d\n", m, sum / n, sum / n * sqrt(m), n }' \
        "$work/scores.csv"
done
