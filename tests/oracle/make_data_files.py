#!/usr/bin/python3
"""Writes one small data set in every format that is made of arrays or text, with numpy, h5py and plain text, and what a reader must
make of it.

usage: make_data_files.py DIRECTORY

Makes DIRECTORY/NAME/ for each case, and DIRECTORY/NAME.expected: text, one line each of format, path, options (key=value,
separated by spaces, or -), class names (separated by |, or -), then for train and test a line `count channels height width element`
and one line an example: label and values. Values are written so that float32 comes back exactly.
"""

import os
import sys

import h5py
import numpy as np

root = sys.argv[1]
rng = np.random.default_rng(4)


def directory(name):
    path = os.path.join(root, name)
    os.makedirs(path, exist_ok=True)
    return path


def expect(name, fmt, path, parts, options="-", names=None, element="feature"):
    """parts: for train and test (values as the network sees them, channels first, class numbers)."""
    with open(os.path.join(root, name + ".expected"), "w") as out:
        print(fmt, path, options, "|".join(names) if names else "-", sep="\n", file=out)
        for x, y in parts:
            shape = x.shape[1:] + (1,) * (4 - x.ndim)
            print(len(x), *shape, element, file=out)
            for row, label in zip(x.reshape(len(x), -1), y):
                print(label, *("%.9g" % v for v in row), file=out)


def save(path, x_train, y_train, x_test, y_test, **kind):
    for name, a in (("x_train", x_train), ("y_train", y_train), ("x_test", x_test), ("y_test", y_test)):
        np.save(os.path.join(path, name + ".npy"), a, **kind)


def save_h5(path, x_train, y_train, x_test, y_test, **kind):
    with h5py.File(path, "w") as f:
        for name, a in (("x_train", x_train), ("y_train", y_train), ("x_test", x_test), ("y_test", y_test)):
            f.create_dataset(name, data=a, **kind)


def as_float32(x):
    return x.astype(np.float32)


N, M = 23, 9
y, z = rng.integers(0, 3, N), rng.integers(0, 3, M)
y[:3] = 0, 1, 2
features = rng.normal(size=(N, 5)) * 10.0 ** rng.integers(-20, 20, (N, 5)), rng.normal(size=(M, 5))
small = [as_float32(f) for f in features]
pixels = rng.integers(0, 256, (N, 4, 6, 3), dtype=np.uint8), rng.integers(0, 256, (M, 4, 6, 3), dtype=np.uint8)

# npy and HDF5: features of either size, labels of every type, images in either layout.
for size, kind in ((np.float32, np.int64), (np.float64, np.uint8), (np.float64, np.int32), (np.float32, np.int16)):
    name = f"features-{np.dtype(size).name}-{np.dtype(kind).name}"
    x, t = features[0].astype(size), features[1].astype(size)
    save(directory(f"npy-{name}"), x, y.astype(kind), t, z.astype(kind))
    expect(f"npy-{name}", "npy", f"npy-{name}", [(as_float32(x), y), (as_float32(t), z)])
    directory("hdf5")
    save_h5(os.path.join(root, "hdf5", name + ".h5"), x, y.astype(kind), t, z.astype(kind))
    expect(f"hdf5-{name}", "hdf5", f"hdf5/{name}.h5", [(as_float32(x), y), (as_float32(t), z)])
save_h5(os.path.join(root, "hdf5", "big-endian.h5"), small[0].astype(">f4"), y.astype(">i4"), small[1].astype(">f8"), z.astype(">u2"))
expect("hdf5-big-endian", "hdf5", "hdf5/big-endian.h5", [(small[0], y), (small[1], z)])
first = [np.ascontiguousarray(p.transpose(0, 3, 1, 2)) for p in pixels]
for layout, arrays, options in (("nhwc", pixels, "-"), ("nchw", first, "-"), ("said", pixels, "layout=nhwc")):
    save(directory(f"npy-{layout}"), arrays[0], y, arrays[1], z)
    expect(f"npy-{layout}", "npy", f"npy-{layout}", [(first[0], y), (first[1], z)], options, element="pixel")
    save_h5(os.path.join(root, "hdf5", layout + ".h5"), arrays[0], y, arrays[1], z, chunks=True, compression="gzip", shuffle=True)
    expect(f"hdf5-{layout}", "hdf5", f"hdf5/{layout}.h5", [(first[0], y), (first[1], z)], options, element="pixel")
floats = [p.astype(np.float32) / 7 for p in pixels]
save(directory("npy-float-images"), floats[0], y, floats[1], z)
expect("npy-float-images", "npy", "npy-float-images", [(f.transpose(0, 3, 1, 2), l) for f, l in zip(floats, (y, z))])
grey = [p[..., 0] for p in pixels]
save(directory("npy-grey"), np.ascontiguousarray(grey[0]), y[:, None], np.ascontiguousarray(grey[1]), z[:, None])
expect("npy-grey", "npy", "npy-grey", [(g[:, None], l) for g, l in zip(grey, (y, z))], element="pixel")
# Versions 2 and 3 of the format, and labels that are no class numbers.
other = np.array([-1, 7, 100])
path = directory("npy-versions")
for file, a, version in (("x_train", as_float32(features[0]), (2, 0)), ("y_train", other[y], (1, 0)),
                         ("x_test", as_float32(features[1]), (3, 0)), ("y_test", other[z], (2, 0))):
    with open(os.path.join(path, file + ".npy"), "wb") as f:
        np.lib.format.write_array(f, a, version=version)
expect("npy-versions", "npy", "npy-versions", [(as_float32(features[0]), y), (as_float32(features[1]), z)],
       names=["-1", "7", "100"])

# CSV: numpy's own, with names, quotes, another column for the label, CR LF.
path = directory("csv-numpy")
for file, x, l in (("train", small[0], y), ("test", small[1], z)):
    np.savetxt(os.path.join(path, file + ".csv"), np.column_stack([x.astype(np.float64), l]), delimiter=",", fmt=["%.18e"] * 5 + ["%d"])
expect("csv-numpy", "csv", "csv-numpy", [(small[0], y), (small[1], z)])
path = directory("csv-names")
names = ["cat", 'dog, "big"', "é"]
for file, x, l in (("train", small[0], y), ("test", small[1], z)):
    with open(os.path.join(path, file + ".csv"), "w", newline="", encoding="utf-8") as f:
        f.write("\ufeffa,b,\"what\",c,d,e\r\n")
        for row, label in zip(x, l):
            text = ['"%.9g"' % v if i % 2 else " %.9g " % v for i, v in enumerate(row)]
            text.insert(2, '"' + names[label].replace('"', '""') + '"')
            f.write(",".join(text) + "\r\n\r\n")
expect("csv-names", "csv", "csv-names", [(small[0], y), (small[1], z)], "label_column=what", names)
path = directory("csv-first")
for file, x, l in (("train", small[0], y), ("test", small[1], z)):
    with open(os.path.join(path, file + ".csv"), "w") as f:
        f.write("\n".join(",".join(["%g" % (2.0 * label - 1)] + ["%.9g" % v for v in row]) for row, label in zip(x, l)))
expect("csv-first", "csv", "csv-first", [(small[0], y), (small[1], z)], "label_column=1", ["-1", "1", "3"])

# svmlight: sparse rows, from 1 and from 0, comments, the last feature in the test set alone.
sparse = [np.where(rng.random(f.shape) < 0.5, 0, f).astype(np.float32) for f in features]
sparse[0][:, 4] = 0
sparse[1][0, 4] = 3
for base in (0, 1):
    path = directory(f"svmlight-{base}")
    for file, x, l in (("train.svm", sparse[0], y), ("test.svmlight", sparse[1], z)):
        if base == 0:
            file = file.replace(".svmlight", ".txt")
        with open(os.path.join(path, file), "w") as f:
            f.write("# made up\n")
            for i, (row, label) in enumerate(zip(x, l)):
                pairs = ["%d:%.9g" % (c + base, v) for c, v in enumerate(row) if v != 0]
                f.write(" ".join(["%+d" % (label - 1)] + pairs) + (" # %d\n" % i if i % 3 else " \n"))
    expect(f"svmlight-{base}", "svmlight", f"svmlight-{base}", [(sparse[0], y), (sparse[1], z)], f"first_index={base}",
           ["-1", "0", "1"])
