#!/bin/bash
# What products with curvature matrices cost, in gradients of the same examples (bench_products.c, in the thread's own time,
# medians of rounds that take turns): the Hessian's at most 4, Gauss-Newton's at most 3, for mlp and cnn, 1,000 examples of
# 28 x 28, and resnet9 at 32 x 32. About 20 seconds.
set -eu
tools=$(dirname "${LEAVEOUT:-build/release/leaveout}")/tests
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

for what in "mlp 1 28 1000 250 7" "cnn 1 28 1000 250 3" "resnet9 3 32 24 24 3"; do
    # shellcheck disable=SC2086  # words
    lines=$("$tools/bench_products" $what)
    printf '%s\n%s\n' "$what" "$lines"
    awk '$1 == "hessian" && $3 > 0 && $3 <= 4 { h = 1 } $1 == "gauss_newton" && $3 > 0 && $3 <= 3 { g = 1 }
         END { exit !(h && g) }' <<<"$lines"
done
