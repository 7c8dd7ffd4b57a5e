#!/usr/bin/python3
"""check_images.py CACHE.dat FOLDER: is every pixel of a prepared image folder what Pillow decodes?

Reads the prepared data set by docs/study-format.md alone, lists the folder's files itself, and compares numbers, labels,
names and pixels. Needs python3-pil and python3-numpy.
"""
import os
import struct
import sys

import numpy
from PIL import Image


def files_of(folder, part):
    """(class, path) in the order of the source numbers: by class, then by name, as bytes."""
    root = os.fsencode(os.path.join(folder, part))
    return [(name, os.path.join(root, name, file))
            for name in sorted(os.listdir(root)) for file in sorted(os.listdir(os.path.join(root, name)))]


def main():
    data = open(sys.argv[1], "rb").read()
    assert data[:8] == b"LOUTDAT1"
    version, header = struct.unpack_from("<2I", data, 8)
    channels, height, width, classes, coarse, element = struct.unpack_from("<6i", data, 24)
    count = struct.unpack_from("<3q", data, 56)
    names_size = struct.unpack_from("<2Q", data, 88)
    section = struct.unpack_from("<22Q", data, 104)
    assert (version, header, coarse, element, count[1]) == (2, 320, 0, 0, 0)
    names = data[section[2]:section[2] + names_size[0]].split(b"\0")[:-1]
    assert len(names) == classes

    checked = 0
    for p, part in ((0, "train"), (2, "test")):
        files = files_of(sys.argv[2], part)
        assert len(files) == count[p], (part, len(files), count[p])
        at = section[4 + 6 * p:]
        pixels = numpy.frombuffer(data, numpy.uint8, count[p] * channels * height * width, at[0])
        pixels = pixels.reshape(count[p], channels, height, width)
        label = numpy.frombuffer(data, numpy.int32, count[p], at[1])
        index = numpy.frombuffer(data, numpy.int64, count[p], at[3])
        assert (index == numpy.arange(count[p])).all()
        for i, (name, path) in enumerate(files):
            assert names[label[i]] == name, (path, label[i])
            wanted = numpy.asarray(Image.open(os.fsdecode(path)).convert("RGB")).transpose(2, 0, 1)
            assert (pixels[i] == wanted).all(), (path, int(numpy.abs(pixels[i].astype(int) - wanted).max()))
            checked += 1
    print("%d images of %d x %d in %d classes are Pillow's, to the bit" % (checked, height, width, classes))


if __name__ == "__main__":
    main()
