#!/usr/bin/env bash
# The factorization on the grid: what share it reaches, on two ranks, of two copies of single-thread products in the same run.
#
#     cholesky_share.sh [N]
#
# Default: 8000 (0.5 GB a rank). LEAVEOUT_TOOLS names the folder of bench_cholesky. Exit codes: 0; 1 below 70 %; 77 skipped.
set -eu
n=${1:-8000}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
if [ ! -x "${LEAVEOUT_TOOLS:-}/bench_cholesky" ]; then
    echo "skipped: LEAVEOUT_TOOLS names no folder with bench_cholesky"
    exit 77
fi
mpirun --oversubscribe --bind-to none -n 1 "$LEAVEOUT_TOOLS/bench_cholesky" "$n" 2
mpirun --oversubscribe --bind-to none -n 2 "$LEAVEOUT_TOOLS/bench_cholesky" "$n" 3 0.7
