"""Tensors of Caffe's networks by `read_caffemodel`'s names, with the seeded values of a recipe.

And files of them.
"""

import itertools
import json
import zlib
from pathlib import Path

import numpy as np

#: Names and shapes by public prototxt files, and logits that these gave, run layer by layer.
REFERENCE = np.load(Path(__file__).parents[1] / "fixtures/caffe_logits.npz")

_BLOBS = {"kernel": 0, "scale": 0, "bias": 1, "shift": 1}


def tensors(network, *, divisor=1, learned=False, values=True):
    """Return the tensors of a network.

    Args:
        network: Such as "fcn8s_atonce", see `REFERENCE`.
        divisor: Of the channels.
        learned: Whether kernels of deconvolutions follow the recipe; else they are bilinear.
        values: Whether other tensors have values that follow it; else they are zeros, which take
            no memory.
    """
    arrays = {}
    names, shapes = (REFERENCE[f"{network}/{key}"].tolist() for key in ("names", "shapes"))
    for name, shape in zip(names, map(json.loads, shapes), strict=True):
        shape[:2] = [n // divisor if n % 64 == 0 else n for n in shape[:2]]
        layer, _, blob = name.rpartition("/")
        if layer.startswith("upscore") and not learned:
            array = _bilinear(shape)
        else:
            array = _value(name, shape) if values else np.broadcast_to(np.float32(0), shape)
        arrays[f"{layer}/{_BLOBS[blob]}"] = array
    return arrays


def _value(name, shape):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    n = rng.standard_normal(shape).astype("float32")
    if name.endswith("kernel"):
        return n * np.float32(np.sqrt(0.8 / np.prod(shape[1:])))
    return (name.endswith("scale") + 0.1 * n).astype("float32")


def _bilinear(shape):
    """Return FCN's filter on the diagonal, as its surgery.py defines it."""
    factor = shape[-1] // 2
    distance = np.abs(np.arange(2 * factor) - (factor - 0.5)) / factor
    kernel = np.zeros(shape, np.float32)
    kernel[np.arange(shape[0]), np.arange(shape[0])] = np.outer(1 - distance, 1 - distance)
    return kernel


def write_caffemodel(path, arrays):
    """Write tensors in the form since 2015."""
    layers = itertools.groupby(arrays, key=lambda name: name.rpartition("/")[0])
    with path.open("wb") as file:
        for layer, names in layers:
            blobs = (field(7, _blob(arrays[name])) for name in names)
            file.write(field(100, field(1, layer.encode()) + b"".join(blobs)))


def _blob(array):
    shape = b"".join(map(varint, array.shape))
    return field(5, array.astype("<f4").tobytes()) + field(7, field(1, shape))


def field(number, value):
    """Write a field: a varint, or bytes after their length."""
    if isinstance(value, int):
        return varint(8 * number) + varint(value)
    return varint(8 * number + 2) + varint(len(value)) + value


def varint(number):
    return b"".join(
        bytes([number >> shift & 0x7F | 0x80 * (number >> shift + 7 > 0)])
        for shift in range(0, max(1, number.bit_length()), 7)
    )
