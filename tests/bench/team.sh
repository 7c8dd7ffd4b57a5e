#!/bin/bash
# Two ranks that train one model together against one alone, in one run, in turns: resnet9 of width 64, batch 512 in 8
# slices, 3x32x32. An otherwise idle machine is meant; on a busy one `RUN="chrt -f 5"` puts the ranks before the others.
#   LEAVEOUT=build/release/leaveout tests/bench/team.sh
# Exit codes: 0; 1 where two ranks are less than 1.7 times as fast; 77 skipped.
. "$(dirname "$0")/pairs.sh"
if [ "$(env -u OMP_NUM_THREADS nproc)" -lt 2 ]; then
    echo "skipped: one core"
    exit 77
fi
# shellcheck disable=SC2086 # RUN is a command with its options
line=$(mpirun -n 2 ${RUN:-} "$tools/bench_team" resnet9 f32 512 8 1 3 3 32 64)
echo "$line"
awk -v ratio="${line##*ratio=}" 'BEGIN { exit !(ratio >= 1.7) }'
