#!/bin/bash
# Methods of unlearning that are training with another loss take their steps as fast as training does: at least 0.8 of its
# images a second for each (bench_unlearning.c, in the thread's own time, medians of rounds that take turns; a machine that is
# busy gets a second chance). About a minute.
set -eu
tools=$(dirname "${LEAVEOUT:-build/release/leaveout}")/tests
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

fast_enough() {
    lines=$("$tools/bench_unlearning" cnn 1 28 640 128 5)
    printf '%s\n' "$lines"
    awk '/^(finetune|neggrad|neggrad_plus|random_label|amnesiac|l1_sparse|salun|del|nabla_tau) / {
             split($3, r, "="); found++; slow += r[2] < 0.8 }
         END { exit !(found == 9 && slow == 0) }' <<<"$lines"
}
fast_enough || fast_enough
