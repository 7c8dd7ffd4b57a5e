#!/bin/bash
# Training throughput against PyTorch on this machine, one thread each: five interleaved pairs a preset, and the median of
# their ratios. PyTorch's side is torch_train.py in ${LEAVEOUT_PEERS:-../shared/peers}, run by Debian's Python.
#   LEAVEOUT=build/release/leaveout tests/bench/train_against_pytorch.sh [PRESET ...]
# Exit codes: 0; 1 where a median is below LEAVEOUT_TRAIN_RATIO (1); 77 skipped.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
peer=${LEAVEOUT_PEERS:-$source/../shared/peers}/torch_train.py
program=${LEAVEOUT:-$source/build/release/leaveout}
presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(mlp cnn)
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

if [ ! -f "$peer" ]; then
    echo "skipped: no $peer (LEAVEOUT_PEERS names its folder)"
    exit 77
fi
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    echo "skipped: /usr/bin/python3 has no torch (Debian: python3-torch)"
    exit 77
fi

code=0
for preset in "${presets[@]}"; do
    ratios=()
    for pair in 1 2 3 4 5; do
        ours=$("$program" bench train --preset "$preset" --precision f32 --batch 128 --seconds 2 |
            sed -n 's/.*images_per_s=\([0-9.]*\).*/\1/p')
        theirs=$(/usr/bin/python3 "$peer" --arch "$preset" --precision f32 --batch 128 --seconds 2 |
            sed -n 's/.*: *\([0-9.]*\) images.*/\1/p')
        ratio=$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.3f", a / b }')
        echo "preset=$preset pair=$pair leaveout=$ours pytorch=$theirs ratio=$ratio"
        ratios+=("$ratio")
    done
    mapfile -t sorted < <(printf '%s\n' "${ratios[@]}" | sort -n)
    echo "preset=$preset precision=f32 batch=128 median_ratio=${sorted[2]} min=${sorted[0]} max=${sorted[4]}"
    awk -v r="${sorted[2]}" -v least="${LEAVEOUT_TRAIN_RATIO:-1}" 'BEGIN { exit !(r >= least) }' || code=1
done
exit $code
