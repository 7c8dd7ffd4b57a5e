#!/bin/bash
# A claim is answered within 100 ms over TCP between two hosts while rank 0 is in the middle of a long task. About 20 s.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
bench=$(dirname "$program")/tests/bench_claims
[ -x "$bench" ] || skip "bench_claims is not built"
slurm_begin
for hosts in 2 3; do
    srun --mpi=pmix -N "$hosts" -n "$hosts" "$bench" latency "$work/latency-$hosts" 9>&- || fail "$hosts hosts"
done
