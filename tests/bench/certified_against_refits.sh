#!/usr/bin/env bash
# certified_loo of Fashion-MNIST on one thread, against refitting each example by Newton with plain conjugate gradients from the full
# solution (a sample of examples): penalties 1e-3 and 1e-4. Every gradient norm must be below 1e-9, and the refits take at least 10
# times as long at 1e-4.
#
#     certified_against_refits.sh [BENCH_CERTIFIED] [EXAMPLES] [REFITS] [POINTS]
#
# EXAMPLES in the data set (default: 5000), REFITS of them by the slow way (4), POINTS left out in all (all). An hour or less.
# Exit codes: 0, 1 when a number is missed, 77 skipped.
set -eu
bench=${1:-${LEAVEOUT:+$(dirname "$LEAVEOUT")/tests/bench_certified}}
examples=${2:-5000} refits=${3:-4} points=${4:-$examples}
data=/usr/share/datasets/fashion-mnist
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
if [ ! -x "${bench:-}" ] || [ ! -d "$data" ]; then
    echo "skipped: no bench_certified program, or no $data (Debian: dataset-fashion-mnist)"
    exit 77
fi
for penalty in 1e-3 1e-4; do
    "$bench" "$data" "$examples" "$penalty" "$refits" "$points" | tee /dev/stderr | tail -n 1
done | awk '{
    for (i = 1; i <= NF; i++) { split($i, pair, "="); value[pair[1]] = pair[2] }
    if (value["worst_gradient"] + 0 > 1e-9 || (value["penalty"] == "1e-4" && value["ratio"] + 0 < 10)) bad = 1
    lines++
} END { exit bad || lines != 2 }'
