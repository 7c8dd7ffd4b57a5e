#!/bin/bash
# Weights that a study keeps and starts from, as numpy reads and writes them: the same names, shapes and numbers; what
# does not fit, and a file that changed, are refused. About 5 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
tools=$LEAVEOUT_SOURCE/tests/tools
for python in /usr/bin/python3 python3; do
    PYTHONPATH=$tools "$python" -c 'import safetensors_numpy' 2>/dev/null && break
    python=
done
[ -n "$python" ] || skip "no Python with numpy"
numpy() { PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$tools "$python" -c "import sys, numpy as np
from safetensors_numpy import read, write
$1" "${@:2}" >"$work/numpy" 2>&1 || fail "numpy: $(tail -n 5 "$work/numpy")"; }

# Kept models do not depend on the number of ranks, and are made again where they are lost or damaged.
keep=(--set ensemble.models=6 --set ensemble.keep_models=3 --set influence=null)
expect_code 0 study 1 "$work/one" "${keep[@]}"
expect_silence
expect_code 0 study 3 "$work/three" "${keep[@]}"
for model in 0 1 2; do
    cmp "$work/one/models/$model.safetensors" "$work/three/models/$model.safetensors" || fail "model $model differs"
done
[ ! -e "$work/one/models/3.safetensors" ] || fail "model 3 was kept"
sum=$(sha256sum <"$work/one/models/1.safetensors")
printf 'x' | dd of="$work/one/models/1.safetensors" bs=1 seek=2000 conv=notrunc status=none
rm "$work/one/models/0.safetensors"
expect_code 0 study 2 "$work/one" "${keep[@]}"
expect_text "$work/err" 'models/0.safetensors: cannot open.*model 0 will be trained again'
expect_text "$work/err" 'models/1.safetensors: is damaged.*model 1 will be trained again'
[ "$sum" = "$(sha256sum <"$work/one/models/1.safetensors")" ] || fail "model 1 came back with other bits"
expect_equal "$work/three" "$work/one"
say "kept models: equal on 1 and 3 ranks, made again after a loss"

# numpy reads what was written; its file starts a training.
numpy '
tensors, notes = read(sys.argv[1])
shapes = {name: array.shape for name, array in tensors.items()}
assert shapes == {"linear1.weight": (32, 64), "linear1.bias": (32,), "linear2.weight": (10, 32), "linear2.bias": (10,)}, shapes
assert notes["seed"] == "1" and notes["preset"] == "mlp" and len(notes["digest"]) == 16, notes
assert all(np.isfinite(array).all() for array in tensors.values())
tensors["linear1.weight"] = tensors["linear1.weight"].astype(np.float64)
write(sys.argv[2], tensors)
tensors["linear1.weight"] *= 2
write(sys.argv[3], tensors)
del tensors["linear2.bias"]
tensors["fc"] = tensors["linear1.bias"]
tensors["linear1.bias"] = tensors["linear1.bias"][:-1]
write(sys.argv[4], tensors)' "$work/one/models/1.safetensors" "$work/start" "$work/doubled" "$work/misfit"
# Steps so small that nothing moves: what starts from a file, ends with its numbers.
still=("${keep[@]}" --set train.optimizer.lr=1e-30)
expect_code 0 study 2 "$work/started" "${still[@]}" --set "train.from=$work/start"
numpy '
expected, _ = read(sys.argv[1])
found, _ = read(sys.argv[2])
for name in expected:
    assert np.array_equal(expected[name].astype(np.float32), found[name]), name' "$work/start" "$work/started/models/2.safetensors"
expect_code 0 "$LEAVEOUT" check "$work/started/job.yaml"
expect_code 0 study 1 "$work/started" "${still[@]}" --set "train.from=$work/start"
expect_code 2 study 1 "$work/started" "${still[@]}" --set "train.from=$work/doubled"
expect_text "$work/err" 'train.from_digest: .* in the study, .* in the job'
cp "$work/doubled" "$work/start"
expect_code 2 "$LEAVEOUT" check "$work/started/job.yaml"
expect_text "$work/err" 'train.from: .*/start has changed: its digest is'
expect_code 65 study 1 "$work/refused" "${still[@]}" --set "train.from=$work/misfit"
for text in 'linear1.bias is \[31\], the network.s is \[32\]' 'linear2.bias \[10\] is missing' 'fc \[32\] is not in the network'; do
    expect_text "$work/err" "$text"
done
expect_code 74 "$LEAVEOUT" check "$job" --set "train.from=$work/none"
expect_text "$work/err" 'train.from: .*/none: cannot open'
say "numpy's file starts a training; what does not fit is named"
