#!/bin/bash
# A node crashes while the job runs: the batch script's node (head) or another (tail). Slurm misses it after about 30 s
# and waits as long for the rest of the job; about 110 s in all.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
which=${1:-tail}
slurm_begin
make_reference

# Nothing may wait for the lost attempt to grow stale: it is an earlier start of the same job.
export LEAVEOUT_STALE_SECONDS=100000

submit "$work/study"
wait_models "$work/study" 8
node=$(scontrol show hostnames "$(squeue -h -j "$job" -o %N)" | "$which" -n 1)
[ "$(field "$job" BatchHost)" = "$node" ] || [ "$which" = tail ] || fail "$node does not run the batch script"
"$cluster" kill "$node"
say "$node crashed, with $(finished "$work/study") of $MODELS models done"
[ "$(finished "$work/study")" -lt $((MODELS - 5)) ] || fail "crashed too late to say anything"

for i in $(seq 90); do
    [ "$(field "$job" Restarts)" -ge 1 ] && break
    sleep 1
done
say "requeued after $i s"
# The same node, as after its restart, so that the job meets what the crash left there.
"$cluster" boot "$node" 9>&-
expect_completed "$job" 150
grep -q "attempt=2 " "$work/study/log/slurm-$job.log" || fail "the log of the first start is gone, or there was no second"
expect_reference "$work/study"
