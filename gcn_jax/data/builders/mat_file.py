"""A reader of the part of MATLAB's .mat files (level 5) that SBD uses, which trusts no length.

SciPy's reader crashes the interpreter, or takes gigabytes, on files in which a byte is damaged.
This one finds one field of one struct and passes over everything else ("MAT-File Format",
MathWorks, chapter 1: a header of 128 bytes, then elements: a tag, type and number of bytes, and
data).
"""

import struct
import zlib
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import numpy as np

_MI_INT8, _MI_UINT8, _MI_INT32, _MI_UINT32, _MI_MATRIX, _MI_COMPRESSED = 1, 2, 5, 6, 14, 15
_MX_STRUCT, _MX_UINT8 = 2, 9
_CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "float64", 7: "float32",
    8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64",
    15: "uint64",
}  # fmt: skip
#: The most bytes of a file, packed and unpacked.
MOST_BYTES = 2**26


class _Matrix(NamedTuple):
    """The head of a matrix, and the elements that follow it."""

    kind: int
    shape: tuple[int, ...]
    name: bytes
    rest: Iterator[tuple[int, bytes]]


def read_field(content: bytes, variable: str, field: str) -> np.ndarray:
    """Read a field of a variable that is one struct: a matrix of bytes.

    Args:
        content: The file.
        variable: The name of the struct.
        field: The name of its field.

    Returns:
        uint8, of the shape of the field.

    Raises:
        ValueError: The file is damaged, of another level, or too large; it has no such field, or
            one of another type.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has {len(content)} bytes; {MOST_BYTES} are the most")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("it is no .mat file of level 5")
    for kind, data in _elements(content[128:], order):
        if kind == _MI_COMPRESSED:
            ((kind, data),) = _elements(_unpack(data), order)
        if kind != _MI_MATRIX:
            continue
        matrix = _head(data, order)
        if matrix.name == variable.encode():
            return _uint8(_field(matrix, field, order), f"{variable}.{field}", order)
    raise ValueError(f"it has no variable {variable}")


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the data of each element; one of up to 4 bytes shares its tag's 8."""
    place = 0
    while place < len(content):
        if place + 8 > len(content):
            raise ValueError("it ends within an element")
        kind, length = struct.unpack_from(f"{order}II", content, place)
        start = place + 8
        if kind >> 16:
            kind, length, start = kind & 0xFFFF, kind >> 16, place + 4
            if length > 4:
                raise ValueError("a small element is too long")
        if start + length > len(content):
            raise ValueError("an element is longer than what holds it")
        yield kind, content[start : start + length]
        place = start + length
        if kind != _MI_COMPRESSED:
            place += -place % 8


def _unpack(data: bytes) -> bytes:
    """Unpack a compressed element, which ends with a checksum."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"a compressed element is damaged: {error}") from None
    if not unpacker.eof:
        raise ValueError(f"a compressed element is cut off, or has more than {MOST_BYTES} bytes")
    return content


def _next(elements: Iterator[tuple[int, bytes]], *kinds: int) -> bytes:
    kind, data = next(elements, (0, b""))
    if kind not in kinds:
        raise ValueError(f"an element is of type {kind}, where {kinds[0]} belongs")
    return data


def _head(data: bytes, order: str) -> _Matrix:
    """Read class, shape and name of a matrix."""
    elements = _elements(data, order)
    flags, shape = _next(elements, _MI_UINT32), _next(elements, _MI_INT32)
    if len(flags) != 8 or len(shape) < 8 or len(shape) % 4:
        raise ValueError("a matrix has damaged flags or dimensions")
    sizes = struct.unpack(f"{order}{len(shape) // 4}i", shape)
    if min(sizes) < 0:
        raise ValueError("a matrix has a dimension below 0")
    (word,) = struct.unpack_from(f"{order}I", flags)
    return _Matrix(word & 0xFF, sizes, _next(elements, _MI_INT8), elements)


def _field(matrix: _Matrix, field: str, order: str) -> _Matrix:
    """Find a field of a struct."""
    if matrix.kind != _MX_STRUCT or prod(matrix.shape) != 1:
        raise ValueError("its variable is not one struct")
    width = _next(matrix.rest, _MI_INT32)
    names = _next(matrix.rest, _MI_INT8)
    if len(width) != 4:
        raise ValueError("a struct has damaged names")
    (length,) = struct.unpack(f"{order}i", width)
    if length < 1 or len(names) % length:
        raise ValueError("a struct has damaged names")
    for start in range(0, len(names), length):
        value = _next(matrix.rest, _MI_MATRIX)
        if names[start : start + length].partition(b"\0")[0] == field.encode():
            return _head(value, order)
    raise ValueError(f"it has no field {field}")


def _uint8(matrix: _Matrix, name: str, order: str) -> np.ndarray:
    """Return the values of a matrix of bytes, which lie column by column."""
    if matrix.kind != _MX_UINT8:
        kind = _CLASSES.get(matrix.kind, f"of class {matrix.kind}")
        raise ValueError(f"{name} is {kind} {matrix.shape}, not uint8 [H, W]")
    data = _next(matrix.rest, _MI_UINT8)
    if len(data) != prod(matrix.shape):
        raise ValueError(f"{name} has {len(data)} values where {matrix.shape} belong")
    return np.frombuffer(data, np.uint8).reshape(matrix.shape, order="F")
