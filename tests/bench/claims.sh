#!/bin/bash
# On one host: a claim is answered within 100 ms while rank 0 is in the middle of a task of 5 s; journal and claims cost
# less than 1 % of tasks of one second. About 18 s; between hosts: tests/slurm/claims.sh.
set -euo pipefail
bench=$(dirname "${LEAVEOUT:?names the program under test}")/tests/bench_claims
work=$(mktemp -d "$PWD/claims-XXXXXX")
trap 'rm -rf "$work"' EXIT
for ranks in 2 3; do
    mpirun -n "$ranks" "$bench" latency "$work/latency-$ranks"
done
mpirun -n 2 "$bench" cost "$work/cost"
