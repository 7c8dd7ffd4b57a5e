#!/bin/bash
# What hosts that share only the study make of an attempt whose node is gone, and of a node that comes back before Slurm
# has missed it. About 150 s.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
slurm_begin
make_reference

say "another job takes over what a lost node held, once its heartbeat is old, while Slurm still thinks it runs"
export LEAVEOUT_STALE_SECONDS=10
submit "$work/taken" --nodes 1
wait_models "$work/taken" 5
lost=$job
node=$(field "$lost" BatchHost)
"$cluster" kill "$node"
submit "$work/taken" --nodes 1 --join
expect_completed "$job" 60
grep -q "done=40 total=40 mine=" "$work/taken/log/slurm-$job.log" || fail "the second job did not do the rest"
expect_reference "$work/taken"
for _ in $(seq 90); do
    [ "$(field "$lost" Restarts)" -ge 1 ] && break
    sleep 1
done
"$cluster" boot "$node" 9>&-
expect_completed "$lost" 120
expect_reference "$work/taken"

say "a node that restarts at once takes its ranks along without a word: rank 0 misses them"
export LEAVEOUT_SILENT_SECONDS=12
submit "$work/silent"
wait_models "$work/silent" 5
node=$(scontrol show hostnames "$(squeue -h -j "$job" -o %N)" | tail -n 1)
"$cluster" kill "$node"
"$cluster" boot "$node" 9>&-
expect_completed "$job" 200
grep -q "has been silent for 12 s" "$work/silent/log/slurm-$job.log" || fail "rank 0 did not miss the lost ranks"
expect_reference "$work/silent"
