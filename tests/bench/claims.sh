#!/bin/bash
# On one host: a claim is answered within 100 ms while rank 0 is in the middle of a task of 5 s; journal and claims cost
# less than 1 % of tasks of one second. About 18 s; between hosts: tests/slurm/claims.sh.
# The bounds are about what this program takes: where other programs take the processor away for a moment they are missed, so
# each has three attempts. A program that is too slow misses them all.
set -euo pipefail
bench=$(dirname "${LEAVEOUT:?names the program under test}")/tests/bench_claims
work=$(mktemp -d "$PWD/claims-XXXXXX")
trap 'rm -rf "$work"' EXIT

# held RANKS WHAT: does WHAT hold in one of three attempts?
held() {
    local attempt
    for attempt in 1 2 3; do
        mpirun -n "$1" "$bench" "$2" "$work/$2-$1-$attempt" && return
        echo "attempt $attempt of 3"
    done
    return 1
}
for ranks in 2 3; do
    held "$ranks" latency
done
held 2 cost
