#!/bin/bash
# Originals: the same bits of logs and weights from 1 to 4 ranks, after kills, grown, after damage; what the log holds,
# by numpy. About 20 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
sed -i -e '/^ensemble:/d' -e '/^scores:/d' -e '/^influence:/d' "$job"
echo 'originals: {seeds: 3, checkpoints: [3, 1], log: true}' >>"$job"
weights_of() { find "$1/originals" "$1/checkpoints" -name '*.safetensors' -printf '%f\n' | sort; }
same_weights() {
    local file
    [ "$(weights_of "$1")" = "$(weights_of "$2")" ] || fail "$2 has other files than $1"
    for file in "$1"/originals/*.safetensors "$1"/checkpoints/*.safetensors; do
        cmp "$file" "$2/${file#"$1"/}" || fail "${file#"$1"/} differs in $2"
    done
}
expect_same() {
    expect_equal "$1" "$2"
    same_weights "$1" "$2"
}

expect_code 0 study 1 "$work/one"
expect_silence
for ranks in 2 3 4; do
    expect_code 0 study $ranks "$work/ranks-$ranks"
    expect_same "$work/one" "$work/ranks-$ranks"
done
expect_trained_once "$work/ranks-4" 3
expect_code 0 "$LEAVEOUT" verify "$work/one"
expect_text "$work/out" 'files=12 .*damaged=0 .*originals=3 of 3 complete=yes'
expect_code 0 "$LEAVEOUT" status "$work/one"
expect_text "$work/out" 'stage=originals done=3 total=3 given_up=0 left=0'
expect_text "$work/one/report.html" '<h2>Originals</h2>'
grep -A2 '"name": "originals"' "$work/one/manifest.json" >"$work/stage" || fail "no stage originals in manifest.json"
expect_text "$work/stage" '"tasks": 3'
expect_text "$work/one/report.html" '<th scope="row">originals</th><td>3</td>'
say "1 to 4 ranks agree"

# What the log holds, and that an original is the twin of a leave-one-out ensemble with its seed.
for python in /usr/bin/python3 python3; do
    "$python" -c 'import numpy, h5py' 2>/dev/null && break
    python=
done
if [ -n "$python" ]; then
    expect_code 0 on 2 "$LEAVEOUT" run "$job" --study "$work/loo" --set ensemble.keep_models=1 \
        --set 'ensemble={design: leave_one_out, examples: [3], seeds: 1}'
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$LEAVEOUT_SOURCE/tests/tools "$python" - "$work/one" "$work/loo" <<'PYTHON' || fail "numpy"
import sys
import h5py, numpy as np
from safetensors_numpy import read
one, loo = sys.argv[1:]
with h5py.File(one + "/training.h5") as f:
    n, epochs = f.attrs["n_train"], f.attrs["epochs"]
    assert (n, epochs) == (600, 4) and list(f["/seed"]) == [0, 1, 2] and f["/train/index"].shape == (600,)
    accuracy = f["/test_accuracy"][:]
    for seed in "012":
        e, x = f[seed + "/epoch"], {k: v[:].astype(float) for k, v in f[seed + "/example"].items()}
        assert sorted(x) == ["correct", "entropy", "gap", "largest", "loss", "margin", "probability"]
        assert all(v.shape == (epochs, n) and np.isfinite(v).all() for v in x.values())
        assert np.allclose(x["loss"].mean(1), e["loss"], rtol=1e-5) and np.allclose(x["correct"].mean(1), e["accuracy"])
        assert np.allclose(x["loss"], np.logaddexp(0, -x["margin"]), rtol=1e-5)
        assert np.allclose(x["probability"], 1 / (1 + np.exp(-x["margin"])), atol=1e-6)
        right = x["correct"] == 1
        assert np.allclose(x["largest"][right], x["probability"][right], atol=1e-6)
        assert (x["largest"][~right] >= x["probability"][~right] - 1e-6).all()
        assert (x["entropy"] >= 0).all() and (x["entropy"] <= np.log(10) + 1e-5).all()
        assert (np.diff(e["loss"]) < 0).all() and (x["loss"][1] != x["loss"][0]).all()
with h5py.File(loo + "/ensemble.h5") as f:
    assert f["/test_accuracy"][0] == accuracy[0]
original, notes = read(one + "/originals/0.safetensors")
twin, _ = read(loo + "/models/0.safetensors")
early, _ = read(one + "/checkpoints/original-0-epoch-1.safetensors")
assert notes["seed"] == "0" and all(np.array_equal(original[k], twin[k]) for k in original)
assert not any(np.array_equal(original[k], early[k]) for k in original)
PYTHON
    say "the log holds what it says, by numpy"
fi

# Grown, with the journal compacted on the way.
expect_code 0 study 1 "$work/grown" --set originals.seeds=2
expect_code 0 "$LEAVEOUT" compact "$work/grown"
expect_code 0 study 2 "$work/grown"
expect_same "$work/one" "$work/grown"
expect_code 0 "$LEAVEOUT" verify "$work/grown"
say "grown from 2 to 3, over a compacted journal: equal"

# A rank is killed in the middle of things; what is there then is whole, and the rest is done once.
for instant in 1 2 3; do
    directory=$work/killed-$instant
    if [ $instant -eq 1 ]; then
        LEAVEOUT_FAULT=kill-task:1 study 2 "$directory" >"$work/out" 2>&1
    else
        study 2 "$directory" --set train.epochs=4 >"$work/out" 2>&1 &
        wait_for 20 ls "$directory/originals/$((instant - 2)).safetensors" >/dev/null 2>&1
        kill -9 $(children "$(children $! | head -n 1)") 2>/dev/null
        wait $! 2>/dev/null
    fi
    code=0
    "$LEAVEOUT" verify "$directory" >"$work/out" 2>"$work/err" || code=$?
    [ $code -eq 0 ] || [ $code -eq 75 ] || fail "verify says $code after a kill"
    expect_code 0 study 3 "$directory"
    expect_same "$work/one" "$directory"
    expect_trained_once "$directory" 3
done
say "three times killed and resumed: equal"

# A lost checkpoint, damaged weights, a damaged record: named, trained again, to the same bits.
directory=$work/ranks-2
rm "$directory/checkpoints/original-1-epoch-3.safetensors"
printf 'x' | dd of="$directory/originals/2.safetensors" bs=1 seek=3000 conv=notrunc status=none
expect_code 65 "$LEAVEOUT" verify "$directory"
expect_text "$work/out" 'damaged: .*original-1-epoch-3.safetensors: cannot open'
expect_text "$work/out" 'damaged: .*originals/2.safetensors: is damaged'
expect_code 0 study 2 "$directory"
expect_text "$work/err" 'original 1 will be trained again'
expect_text "$work/err" 'original 2 will be trained again'
expect_same "$work/one" "$directory"
directory=$work/ranks-3
largest=$(ls -S "$directory"/journal/*.jnl | head -n 1)
printf 'x' | dd of="$largest" bs=1 seek=$(($(stat -c %s "$largest") - 4000)) conv=notrunc status=none
rm "$directory/training.h5"
expect_code 65 "$LEAVEOUT" report "$directory"
expect_text "$work/err" 'checksum.*original [012] will be trained again'
expect_code 75 "$LEAVEOUT" compact "$directory"
expect_text "$work/err" 'records of stage originals were damaged'
expect_code 0 study 2 "$directory"
expect_same "$work/one" "$directory"
say "lost and damaged files and records: trained again, equal"

expect_code 2 study 1 "$work/one" --set originals.log=false
expect_text "$work/err" 'originals.log: "true" in the study, "false" in the job'
expect_code 2 study 1 "$work/one" --set originals.seeds=2
expect_code 2 "$LEAVEOUT" check "$job" --set 'originals.checkpoints=[5]'
expect_text "$work/err" 'originals.checkpoints: found 5; allowed: up to train.epochs, 4'
expect_code 2 "$LEAVEOUT" check "$job" --set 'originals.checkpoints=[2, 2]'
expect_code 0 "$LEAVEOUT" plan "$job"
expect_text "$work/out" 'stage=originals models=3'
