#!/bin/bash
# The same at other batches and sizes, against torch_shapes.py: batches of 64 and 512, cnn of width 16 and 64 on 28x28 and on
# 3x32x32, mlp 512-256. About twenty minutes.
#   LEAVEOUT=build/release/leaveout tests/bench/sizes_against_pytorch.sh [PRECISION ...]
# Exit codes: 0; 1 where a median is below LEAVEOUT_TRAIN_RATIO (1); 77 skipped.
. "$(dirname "$0")/pairs.sh"
precisions=("$@")
[ ${#precisions[@]} -gt 0 ] || precisions=(f32 bf16)
need_torch

code=0
for precision in "${precisions[@]}"; do
    while read -r preset batch channels side sizes; do
        pairs "preset=$preset precision=$precision batch=$batch input=${channels}x${side}x${side} sizes=${sizes// /-}" \
            "${LEAVEOUT_TRAIN_RATIO:-1}" \
            "$tools/bench_train $preset $precision $batch 2 $channels $side $sizes" \
            "$python $source/tests/bench/torch_shapes.py $preset $precision $batch 2 $channels $side $sizes" || code=1
    done <<'END'
mlp 64 1 28 512
mlp 512 1 28 512
mlp 128 1 28 512 256
cnn 64 1 28 32
cnn 512 1 28 32
cnn 128 1 28 16
cnn 128 1 28 64
cnn 128 3 32 16
cnn 128 3 32 64
END
done
exit $code
