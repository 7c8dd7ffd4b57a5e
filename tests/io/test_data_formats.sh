#!/bin/bash
# A small job on each format of data, from the sources to the exports; names of classes and both levels of labels on the way; sets
# that are larger than the memory a run may take; bad data. About twenty seconds.
. "$(dirname "$0")/../lib.sh"
python=${PYTHON:-/usr/bin/python3}
"$python" -c 'import numpy, h5py' 2>/dev/null || skip "no $python with numpy and h5py"
"$python" "$LEAVEOUT_SOURCE/tests/oracle/make_data_files.py" "$work" || fail "make_data_files.py"

# data_job DATA-KEYS: a job on them.
data_job() {
    cat >"$job" <<END
data: {$1}
model: {preset: mlp, hidden: [8]}
train: {epochs: 2, batch: 8}
ensemble: {models: 4, ratio: 0.5}
scores: [memorization]
influence: {top: 2}
END
}

# ---- every format that leaveout methods lists, all the way
"$LEAVEOUT" help keys >"$work/keys" || fail "help keys"
formats=$(grep -A 1 '^data\.format' "$work/keys" | sed -n 's/.*one of: \([a-z0-9_ ]*\).*/\1/p' | tr ' ' '\n' | sort)
[ "$formats" = "$("$LEAVEOUT" methods | awk '$1 == "reader" { print $2 }' | sort)" ] || fail "data.format and leaveout methods differ"
"$python" - "$work" <<'END' || fail "CIFAR's files"
import os, sys, numpy as np
root, rng = sys.argv[1], np.random.default_rng(1)
os.makedirs(root + "/cifar10")
os.makedirs(root + "/cifar100")
def records(path, n, labels):
    rows = rng.integers(0, 256, (n, labels + 3072), dtype=np.uint8)
    rows[:, labels - 1] = np.arange(n) % (10 if labels == 1 else 100)
    if labels == 2:
        rows[:, 0] = rows[:, 1] // 5
    rows.tofile(path)
for b in range(1, 6):
    records(f"{root}/cifar10/data_batch_{b}.bin", 10, 1)
records(root + "/cifar10/test_batch.bin", 10, 1)
open(root + "/cifar10/batches.meta.txt", "w").write("".join(f"kind {i}\n" for i in range(10)) + "\n")
records(root + "/cifar100/train.bin", 200, 2)
records(root + "/cifar100/test.bin", 100, 2)
open(root + "/cifar100/fine_label_names.txt", "w").write("".join(f"fine {i}\n" for i in range(100)))
open(root + "/cifar100/coarse_label_names.txt", "w").write("".join(f"coarse {i}\n" for i in range(20)))
END
n=0
while read -r keys; do
    n=$((n + 1))
    data_job "$keys"
    expect_code 0 on $((n % 2 + 1)) "$LEAVEOUT" run "$job" --study "$work/study-$n"
    expect_silence
    expect_code 0 "$LEAVEOUT" verify "$work/study-$n"
    expect_code 0 "$LEAVEOUT" export "$work/study-$n" scores --out "$work/$n.csv"
done <<END
format: npy, path: $work/npy-features-float64-int32
format: npy, path: $work/npy-nhwc, standardize: false
format: hdf5, path: $work/hdf5/nchw.h5
format: csv, path: $work/csv-names, label_column: what
format: svmlight, path: $work/svmlight-0, first_index: 0
format: cifar10, path: $work/cifar10
format: cifar100, path: $work/cifar100
format: cifar100, path: $work/cifar100, labels: coarse
format: csv, path: $work/csv-names, label_column: what, class_names: [x, y, z]
END
[ $n -eq 9 ] || fail "$n studies"

# Names of classes: in tables and reports; those of the job win.
expect_no_text "$work/1.csv" 'class'
expect_text "$work/4.csv" ',class,class_true$'
expect_text "$work/4.csv" '"dog, ""big""","dog, ""big"""$'
expect_text "$work/5.csv" ',-1,-1$'
expect_text "$work/6.csv" ',kind 9,kind 9$'
expect_text "$work/7.csv" '^99,99,99,.*,fine 99,fine 99$'
expect_text "$work/8.csv" '^99,19,19,.*,coarse 19,coarse 19$'
expect_text "$work/9.csv" ',[xyz],[xyz]$'
expect_text "$work/study-8/report.html" 'coarse 3'
expect_no_text "$work/study-9/report.html" 'dog'
expect_code 0 "$LEAVEOUT" export "$work/study-4" influence --out "$work/influence.csv"
expect_text "$work/influence.csv" ',test_class,train_class$'
"$python" - "$work" <<'END' || fail "labels of two levels"
import sys, h5py, numpy as np
for study in 7, 8:
    f = h5py.File(f"{sys.argv[1]}/study-{study}/ensemble.h5")
    for part in "train", "test":
        fine, coarse, label = (f[part][n][:] for n in ("label_fine", "label_coarse", "label"))
        assert (fine == f[part]["index"][:] % 100).all() and (coarse == fine // 5).all()
        assert (label == (fine if study == 7 else coarse)).all()
    assert len(f["class_name"]) == (100 if study == 7 else 20) and f["class_name_fine"][3] == b"fine 3"
    assert f["class_name_coarse"][19] == b"coarse 19"
END
say "every format, from the sources to the exports"

# ---- larger than memory: 200 MB of data with 64 MiB for heap and private memory
"$python" - "$work" <<'END' || fail "large files"
import os, sys, numpy as np, h5py
root, rng = sys.argv[1], np.random.default_rng(2)
n, m = 65536, 16
y = (np.arange(n) % 10).astype(np.uint8)
def save(name, x):
    os.makedirs(f"{root}/{name}")
    for part, k in ("train", n), ("test", m):
        np.save(f"{root}/{name}/x_{part}.npy", x[:k])
        np.save(f"{root}/{name}/y_{part}.npy", y[:k])
pixels = rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
save("large-nhwc", pixels)
save("large-float", pixels[:, ::2, ::2].reshape(n, -1).astype(np.float32))
with h5py.File(f"{root}/large.h5", "w") as f:
    for part, k in ("train", n), ("test", m):
        f.create_dataset(f"x_{part}", data=pixels[:k], chunks=(min(64, k), 32, 32, 3))
        f[f"y_{part}"] = y[:k]
END
for keys in "format: npy, path: $work/large-nhwc" "format: npy, path: $work/large-float" "format: hdf5, path: $work/large.h5"; do
    data_job "$keys"
    (ulimit -d 65536 && TMPDIR=$work exec "$LEAVEOUT" check "$job") >"$work/out" 2>"$work/err" || fail "$keys: not in 64 MiB"
    expect_text "$work/out" '^ok train=65536 '
    rm -rf "${keys##* }"
done
say "200 MB of data in 64 MiB of memory"

# ---- bad data: 65, and where
refused() {
    local code=$1
    shift
    expect_code "$code" "$LEAVEOUT" check "$job"
    local regex
    for regex in "$@"; do
        expect_text "$work/err" "$regex"
    done
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "not one line on standard error"
}
bad=$work/csv-numpy/train.csv
data_job "format: csv, path: $work/csv-numpy"
cp "$bad" "$work/kept"
sed -i '5s/,[^,]*$//' "$bad"
refused 65 'train\.csv:5: found 5 fields, allowed 6'
sed '7s/^[^,]*,/nan,/' "$work/kept" >"$bad"
refused 65 "train\.csv:7: field 1: found 'nan'"
data_job "format: csv, path: $work/csv-numpy, label_column: nothing"
cp "$work/kept" "$bad"
refused 2 "data\.label_column: found 'nothing'"
data_job "format: svmlight, path: $work/svmlight-0"
refused 65 'train\.svm:[0-9]+: found index 0, allowed 1 to'
data_job "format: cifar10, path: $work/cifar100"
refused 74 'data_batch_1\.bin: cannot open'
truncate -s -1 "$work/cifar10/test_batch.bin"
data_job "format: cifar10, path: $work/cifar10"
refused 65 'test_batch\.bin: found 30729 bytes'
truncate -s -8 "$work/npy-grey/x_test.npy"
data_job "format: npy, path: $work/npy-grey"
refused 65 'x_test\.npy: the header promises'
data_job "format: npy, path: $work/nothing"
refused 74 'nothing/x_train\.npy: cannot open: No such file'
data_job "format: npy, path: $work/npy-nhwc, labels: coarse"
refused 2 'data\.labels: .*cifar100'

# HDF5: no such file, no HDF5, cut short, without a dataset, of other sizes and types, too little stored for its dimensions.
data_job "format: hdf5, path: $work/nothing.h5"
refused 74 'nothing\.h5: cannot open'
data_job "format: hdf5, path: $bad"
refused 65 'is not a sound HDF5 file'
data_job "format: hdf5, path: $work/bad.h5"
head -c 3000 "$work/hdf5/nhwc.h5" >"$work/bad.h5"
refused 65 'bad\.h5: is not a sound HDF5 file'
hdf5_bad() {
    "$python" - "$work" "$1" <<'END' || fail "bad.h5"
import os, sys, h5py, numpy as np
root, change = sys.argv[1:]
with h5py.File(root + "/bad.h5", "w") as f, h5py.File(root + "/hdf5/features-float32-int64.h5") as good:
    for name in good:
        f[name] = good[name][:]
    exec(change)
END
}
hdf5_bad 'del f["y_test"]'
refused 65 'bad\.h5:/y_test: there is no such dataset'
hdf5_bad 'del f["y_test"]; f["y_test"] = np.arange(8)'
refused 65 'bad\.h5:/y_test: found 8 labels for the 9 examples'
hdf5_bad 'x = f["x_test"][:]; x[3, 2] = np.nan; f["x_test"][:] = x'
refused 65 'bad\.h5:/x_test: example 3, feature 2 .*found nan'
hdf5_bad 'del f["x_test"]; f["x_test"] = np.zeros((9, 5), np.int32)'
refused 65 'bad\.h5:/x_test: allowed are elements of uint8'
hdf5_bad 'del f["x_train"]; f.create_dataset("x_train", (10**9, 10**6), "f4", chunks=(1, 1000))'
refused 65 'bad\.h5:/x_train: the file holds 0 bytes of it, too few'
hdf5_bad 'del f["x_train"]; f["x_train"] = np.zeros((2, 2, 2, 2, 2))'
refused 65 'bad\.h5:/x_train: allowed is an array of 1 to 4'
say "bad data is refused"
