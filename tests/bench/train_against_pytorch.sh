#!/bin/bash
# Training throughput against PyTorch on this machine, one thread each: five interleaved pairs a preset and precision, and
# the median of their ratios. PyTorch's side is torch_train.py in ${LEAVEOUT_PEERS:-../shared/peers}, and torch_networks.py here
# for vit, resnet50 and vgg16_bn; run by Debian's Python.
#   LEAVEOUT=build/release/leaveout tests/bench/train_against_pytorch.sh [PRESET ...]
# Exit codes: 0; 1 where a median is below LEAVEOUT_TRAIN_RATIO (1.2); 77 skipped.
. "$(dirname "$0")/pairs.sh"
peer=${LEAVEOUT_PEERS:-$source/../shared/peers}/torch_train.py
presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(mlp cnn)
if [ ! -f "$peer" ]; then
    echo "skipped: no $peer (LEAVEOUT_PEERS names its folder)"
    exit 77
fi
need_torch

code=0
for preset in "${presets[@]}"; do
    twin=$peer
    case $preset in vit | resnet50 | vgg16_bn) twin=$source/tests/bench/torch_networks.py ;; esac
    for precision in f32 bf16; do
        pairs "preset=$preset precision=$precision batch=128" "${LEAVEOUT_TRAIN_RATIO:-1.2}" \
            "$program bench train --preset $preset --precision $precision --batch 128 --seconds 2" \
            "$python $twin --arch $preset --precision $precision --batch 128 --seconds 2" || code=1
    done
done
exit $code
