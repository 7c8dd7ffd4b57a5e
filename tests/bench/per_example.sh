#!/bin/bash
# What gradients of single examples cost, in forward and backward passes of the same examples (bench_per_example.c, in the
# thread's own time, medians of rounds that take turns): squared norms at most 3 of them for cnn, 1,000 examples of
# 28 x 28, and at most 5 for resnet9 at 32 x 32. About 8 seconds.
set -eu
tools=$(dirname "${LEAVEOUT:-build/release/leaveout}")/tests
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# at_most MOST PRESET CHANNELS SIDE EXAMPLES ROUNDS DIMENSION
at_most() {
    local most=$1
    shift
    local lines
    lines=$("$tools/bench_per_example" "$@")
    printf '%s, at most %s\n%s\n' "$*" "$most" "$lines"
    awk -v most="$most" '$1 == "squared_norms" && $4 > 0 && $4 <= most { good = 1 } END { exit !good }' <<<"$lines"
}

at_most 3 cnn 1 28 1000 3 0
at_most 5 resnet9 3 32 32 3 0
