#!/usr/bin/env bash
# The dual Gauss-Newton matrix of a 784-128-64-10 network (109,386 parameters, whose own matrix has 96 GB): seconds of its parts
# and memory of a rank.
#
#     network_ggn.sh [EXAMPLES] [TARGETS] [RANKS]
#
# Default: 2000, 1000 and 2 (the matrix has 2.6 GB; with 5000 examples 16.2 GB). LEAVEOUT names the program. Exit codes: 0; 77 skipped.
set -eu
examples=${1:-2000} targets=${2:-1000} ranks=${3:-2}
data=/usr/share/datasets/fashion-mnist
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
if [ ! -x "${LEAVEOUT:-}" ] || [ ! -d "$data" ]; then
    echo "skipped: LEAVEOUT names no program, or no $data (Debian: dataset-fashion-mnist)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/job.yaml" <<END
data: {format: idx, path: $data, train_limit: $examples, test_limit: $targets}
model: {preset: mlp, hidden: [128, 64]}
train: {epochs: 20, batch: 64}
originals: {seeds: 1}
attribution: {methods: [ggn], model: network, damping: 0.01, top: 20}
END
mpirun --oversubscribe --bind-to none -n "$ranks" "$LEAVEOUT" run "$work/job.yaml" --study "$work/study" |
    grep -E 'event=(sized|part|usage)' | sed 's/^[^ ]* //'
