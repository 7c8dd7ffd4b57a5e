#!/usr/bin/python3
"""Picture files and what Pillow decodes and scales them to: makes tests/fixtures/images.bin.

Needs python3-pil and python3-numpy (Pillow 9.4 with libjpeg-turbo 2.1.5, its own library on Debian 12). The file is a
sequence of records, all numbers little-endian int32: length of the name, name; length of the file, file; height, width,
channels, pixels [height, width, channels]; height, width of the scaled picture, its pixels.
"""
import io
import os
import struct

import numpy
from PIL import Image

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "images.bin")
RANDOM = numpy.random.RandomState(1)


def picture(height, width, channels):
    """Something with slopes, edges and noise."""
    y, x, c = numpy.mgrid[0:height, 0:width, 0:channels]
    value = 128 + 90 * numpy.sin(0.3 * x + c) * numpy.cos(0.2 * y - c) + 60 * ((x // 5 + y // 7) % 2)
    return numpy.clip(value + RANDOM.randint(-20, 20, (height, width, channels)), 0, 255).astype(numpy.uint8)


def encode(image, **options):
    stream = io.BytesIO()
    image.save(stream, **options)
    return stream.getvalue()


def colour(height, width):
    return Image.fromarray(picture(height, width, 3), "RGB")


def grey(height, width):
    return Image.fromarray(picture(height, width, 1)[:, :, 0], "L")


def cases():
    """Name, file, what it is decoded to (mode L or RGB), size [height, width] to scale to."""
    for name, options in (("jpeg 4:2:0", dict(subsampling=2)), ("jpeg 4:2:2", dict(subsampling=1)),
                          ("jpeg 4:4:4", dict(subsampling=0)), ("jpeg progressive", dict(progressive=True)),
                          ("jpeg optimized, quality 30", dict(quality=30, optimize=True))):
        data = encode(colour(33, 47), format="JPEG", **options)
        yield name, data, Image.open(io.BytesIO(data)).convert("RGB"), (16, 16)
    data = encode(grey(32, 32), format="JPEG", quality=90)
    yield "jpeg grey", data, Image.open(io.BytesIO(data)), (45, 20)

    for name, image, to in (("png colour", colour(20, 31), (20, 12)), ("png grey", grey(31, 20), (8, 40)),
                            ("png one pixel", colour(1, 1), (3, 3)), ("png one row", grey(1, 50), (2, 7)),
                            ("png palette", colour(24, 24).quantize(37), (9, 9)),
                            ("png palette of 4", colour(24, 21).quantize(4), (30, 10)),
                            ("png one bit", grey(19, 23).convert("1"), (19, 10))):
        data = encode(image, format="PNG")
        decoded = image.convert("RGB") if image.mode == "P" else image.convert("L") if image.mode == "1" else image
        yield name, data, decoded, to
    alpha = Image.fromarray(picture(20, 20, 4), "RGBA")
    yield "png colour and alpha", encode(alpha, format="PNG"), alpha.convert("RGB"), (10, 10)
    alpha = Image.fromarray(picture(20, 20, 2), "LA")
    yield "png grey and alpha", encode(alpha, format="PNG"), alpha.getchannel("L"), (10, 10)
    deep = picture(18, 22, 1)[:, :, 0].astype(numpy.uint16) * 256 + RANDOM.randint(0, 256, (18, 22))
    image = Image.fromarray(deep.astype(numpy.uint16), "I;16")
    yield "png 16 bits", encode(image, format="PNG"), Image.fromarray((deep >> 8).astype(numpy.uint8), "L"), (18, 44)


def main():
    with open(OUT, "wb") as out:
        for name, data, decoded, (height, width) in cases():
            pixels = numpy.asarray(decoded)
            scaled = numpy.asarray(decoded.resize((width, height), Image.BILINEAR))
            out.write(struct.pack("<i", len(name)) + name.encode())
            out.write(struct.pack("<i", len(data)) + data)
            channels = 1 if pixels.ndim == 2 else 3
            out.write(struct.pack("<iii", pixels.shape[0], pixels.shape[1], channels) + pixels.tobytes())
            out.write(struct.pack("<ii", height, width) + scaled.tobytes())


if __name__ == "__main__":
    main()
