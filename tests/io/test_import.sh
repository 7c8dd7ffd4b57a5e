#!/bin/bash
# An ensemble whose masks and outcomes are taken out of one study and brought into another, as if they had been made
# elsewhere, has the same scores and influence; what does not fit is refused and named. About 8 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
for python in /usr/bin/python3 python3; do
    "$python" -c 'import numpy, h5py' 2>/dev/null && break
    python=
done
[ -n "$python" ] || skip "no Python with numpy and h5py"
expect_code 0 study 2 "$work/made"
"$python" - "$work" <<'PYTHON' || fail "numpy"
import sys
import h5py, numpy as np
work = sys.argv[1]
with h5py.File(work + "/made/ensemble.h5") as f:
    n, t = f.attrs["n_train"], f.attrs["n_test"]
    def bits(name, count):
        return np.unpackbits(f[name][:], axis=1, count=count, bitorder="little")
    mask = bits("/mask", n)
    np.save(work + "/masks.npy", mask.astype(bool))
    np.save(work + "/train.npy", bits("/train/correct", n))
    np.save(work + "/test.npy", bits("/test/correct", t).astype(bool))
    np.save(work + "/margin.npy", f["/train/logit"][:].astype(float))
    np.save(work + "/labels.npy", f["/train/label"][:].astype(np.uint8))
    np.save(work + "/few.npy", mask[:19].astype(bool))
    np.save(work + "/wide.npy", mask[:, :-1].astype(bool))
    np.save(work + "/twos.npy", mask * 2)
    wrong = f["/train/label"][:].astype(np.int64)
    wrong[5] += 1
    np.save(work + "/wrong.npy", wrong)
PYTHON
sed -e 's/^ensemble:.*/ensemble: {design: imported, models: 20}/' "$job" >"$work/imported.yaml"
bring() {
    local count=$1 directory=$2
    shift 2
    on "$count" "$LEAVEOUT" import "$work/imported.yaml" --study "$directory" --masks "$work/masks.npy" \
        --train-correct "$work/train.npy" --test-correct "$work/test.npy" "$@"
}

expect_code 0 bring 1 "$work/brought" --train-margin "$work/margin.npy" --labels "$work/labels.npy"
expect_silence
"$python" - "$work" <<'PYTHON' || fail "other scores"
import sys
import h5py, numpy as np
work = sys.argv[1]
for name, sets in ("scores.h5", ["memorization/value", "cscore/value", "cscore/standard_error"]), \
        ("influence.h5", ["contrast"]), ("ensemble.h5", ["mask", "train/correct", "test/correct", "train/logit", "test_accuracy"]):
    with h5py.File(f"{work}/made/{name}") as a, h5py.File(f"{work}/brought/{name}") as b:
        for path in sets:
            assert np.array_equal(a[path][:], b[path][:], equal_nan=True), path
with h5py.File(work + "/brought/ensemble.h5") as f:
    assert f.attrs["design"] == b"imported" and np.isnan(f["test/logit"][:]).all()
PYTHON
expect_code 0 "$LEAVEOUT" verify "$work/brought"
expect_text "$work/out" 'models=20 of 20 complete=yes'
say "scores and influence are those of the study that trained"

# Brought again, nothing changes; resumed, nothing is trained; by three ranks, the same files.
expect_code 0 bring 1 "$work/brought"
expect_text "$work/out" 'event=imported models=20 were_there=20'
expect_code 0 "$LEAVEOUT" run "$work/imported.yaml" --study "$work/brought"
expect_trained_once "$work/brought" 20
expect_code 0 bring 3 "$work/three" --train-margin "$work/margin.npy"
expect_equal "$work/brought" "$work/three"

expect_code 65 bring 1 "$work/refused" --masks "$work/few.npy"
expect_text "$work/err" '--masks: .*few.npy: found 19 x 600 .*expected are 20 models .* x 600 examples'
expect_code 65 bring 1 "$work/refused" --masks "$work/wide.npy"
expect_text "$work/err" 'found 20 x 599'
expect_code 65 bring 1 "$work/refused" --masks "$work/twos.npy"
expect_text "$work/err" 'twos.npy: found 2 at \[0, [0-9]+\]; allowed are 0 and 1'
expect_code 65 bring 1 "$work/refused" --test-correct "$work/train.npy"
expect_text "$work/err" '--test-correct: .*found 20 x 600 .* x 200 examples'
expect_code 65 bring 1 "$work/refused" --train-correct "$work/margin.npy"
expect_text "$work/err" '--train-correct: .*found elements of type f8; allowed are b1 and u1'
expect_code 65 bring 1 "$work/refused" --labels "$work/wrong.npy"
expect_text "$work/err" '--labels: .*wrong.npy: found label [0-9]+ at 5; the data has'
expect_code 2 "$LEAVEOUT" run "$work/imported.yaml" --study "$work/never"
expect_text "$work/err" 'it is not trained here: .leaveout import. brings them'
expect_code 2 "$LEAVEOUT" import "$job" --study "$work/trained" --masks "$work/masks.npy" \
    --train-correct "$work/train.npy" --test-correct "$work/test.npy"
expect_text "$work/err" "ensemble.design is 'balanced'; allowed is imported"
expect_code 2 "$LEAVEOUT" import "$work/imported.yaml" --study "$work/brought" --masks "$work/masks.npy"
expect_text "$work/err" '--train-correct FILE is missing'
say "what does not fit is refused and named"
