"""Files of Caffe's weights as numpy arrays, without Caffe and without protocol buffers' library.

A `.caffemodel` file is a `NetParameter` of `caffe.proto`: a message of fields, some of which are
messages. What is read here goes four messages deep: the network, its layers, in files from before
2014 a layer within the layer, and blobs. No number in a file is taken for a size before it was
compared with what is left of the file.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gcn_jax.errors import UserError

#: Bytes of the longest file: no message of protocol buffers is longer.
_BYTES = 2**31 - 1
#: Blobs of the largest network, far more than there are in any; and axes of a blob, as in Caffe.
_BLOBS, _AXES = 10_000, 32

#: Wire types: a number, and so many bytes.
_VARINT, _EIGHT, _MANY, _FOUR = 0, 1, 2, 5


class _LayerFields(NamedTuple):
    """Numbers of the fields of a layer: its name, its blobs, the layer within it."""

    name: int
    blobs: int
    inner: int | None = None


#: Field of `NetParameter` -> the fields of a layer there: before 2015, and since.
_LAYERS = {2: _LayerFields(4, 6, inner=1), 100: _LayerFields(1, 7)}
_INNER_LAYER = _LayerFields(1, 50)

#: Fields of `BlobProto`: the four sides of old blobs, the shape, and the values in two precisions.
_SIDES, _SHAPE = (1, 2, 3, 4), 7
_VALUES: Mapping[int, tuple[np.dtype, int]] = {
    5: (np.dtype("<f4"), _FOUR),
    8: (np.dtype("<f8"), _EIGHT),
}


def read_caffemodel(path: str | Path) -> dict[str, np.ndarray]:
    """Read a `.caffemodel` file.

    Old files give every blob four axes; the leading ones are dropped again from a bias
    (1 x 1 x 1 x C) and from the kernel of an inner product (1 x 1 x out x in).

    Args:
        path: The file, of any version of Caffe.

    Returns:
        "layer/i" to blob i of the layer, mostly kernel and bias, in Caffe's layout: convolutions
        `[out, in, kh, kw]`, deconvolutions `[in, out, kh, kw]`, inner products `[out, in]`. The
        arrays are float32, or float64 in a file of doubles, and lie in what was read of the file.

    Raises:
        UserError: There is no such file, it cannot be read, or it is damaged; the message says how.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file of weights")
    try:
        if path.stat().st_size > _BYTES:
            raise ValueError("it is longer than 2 GiB")
        return _read_network(memoryview(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as weights of Caffe: {error}") from error


def _read_network(message: memoryview) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for number, wire, value in _fields(message):
        if number not in _LAYERS:
            continue
        name, blobs = _read_layer(_checked(value, wire, _MANY), _LAYERS[number])
        for index, blob in enumerate(blobs):
            key = f"{name}/{index}"
            if key in arrays:
                raise ValueError(f"it has two layers {name!r:.80}")
            try:
                arrays[key] = _read_blob(blob, kernel=index == 0)
            except ValueError as error:
                raise ValueError(f"blob {index} of layer {name!r:.80}: {error}") from None
        if len(arrays) > _BLOBS:
            raise ValueError(f"it has more than {_BLOBS} blobs")
    if not arrays:
        raise ValueError("it has no layers with weights")
    return arrays


def _read_layer(message: memoryview, fields: _LayerFields) -> tuple[str, list[memoryview]]:
    """Return the name of a layer and its blobs, which may come before the name."""
    name, blobs = "", []
    for number, wire, value in _fields(message):
        if number == fields.name:
            name = bytes(_checked(value, wire, _MANY)).decode()
        elif number == fields.blobs:
            blobs.append(_checked(value, wire, _MANY))
            if len(blobs) > _BLOBS:
                raise ValueError(f"it has more than {_BLOBS} blobs")
        elif number == fields.inner:
            return _read_layer(_checked(value, wire, _MANY), _INNER_LAYER)
    return name, blobs


def _read_blob(message: memoryview, kernel: bool) -> np.ndarray:
    """Return the values of a blob: a view of them, unless they come in pieces."""
    sides = [0, 0, 0, 0]
    shape: list[int] | None = None
    pieces: dict[int, memoryview | bytearray] = {}
    for number, wire, value in _fields(message):
        if number in _SIDES:
            sides[number - 1] = _checked(value, wire, _VARINT)
        elif number == _SHAPE:
            shape = shape or []
            _add_axes(_checked(value, wire, _MANY), shape)
        elif number in _VALUES:
            _add_piece(pieces, number, _checked(value, wire, _MANY, _VALUES[number][1]))
    if not pieces:
        raise ValueError("it has no values")
    first = min(pieces)
    data, (dtype, _) = pieces[first], _VALUES[first]
    if shape is None:
        shape = _without_leading_ones(sides, kernel)
    if math.prod(shape) * dtype.itemsize != len(data) or not data:
        raise ValueError(f"{len(data)} bytes of values do not have the shape {shape}")
    return np.frombuffer(data, dtype).reshape(shape)


def _add_axes(message: memoryview, shape: list[int]) -> None:
    """Add the axes of a `BlobShape`."""
    for number, wire, value in _fields(message):
        if number == 1:
            axes = [value] if wire == _VARINT else _varints(_checked(value, wire, _MANY))
            for axis in axes:
                shape.append(axis)
                if len(shape) > _AXES:
                    raise ValueError(f"it has more than {_AXES} axes")


def _add_piece(pieces: dict[int, memoryview | bytearray], number: int, value: memoryview) -> None:
    """Add values; what comes in one piece, as nearly always, is not copied."""
    before = pieces.setdefault(number, value)
    if before is not value:
        if isinstance(before, memoryview):
            before = pieces[number] = bytearray(before)
        before += value


def _without_leading_ones(sides: list[int], kernel: bool) -> list[int]:
    """Return the shape of an old blob; a kernel with one output keeps its four axes."""
    if kernel:
        return sides[2:] if sides[:2] == [1, 1] else sides
    first = next((i for i, side in enumerate(sides[:3]) if side != 1), 3)
    return sides[first:]


# ------------------------------------------------------------------------- protocol buffers' format
def _fields(message: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Yield number, wire type and value of the fields: a number, or the bytes as they lie there."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        if wire not in (_VARINT, _EIGHT, _MANY, _FOUR) or not number:
            raise ValueError(f"it is damaged, or of another kind: field {number} has type {wire}")
        length = {_EIGHT: 8, _FOUR: 4}.get(wire, 0)
        if wire in (_VARINT, _MANY):
            length, place = _varint(message, place)
        if wire == _VARINT:
            yield number, wire, length
            continue
        if length > len(message) - place:
            raise ValueError(
                f"it is cut or damaged: field {number} has {length} bytes, and "
                f"{len(message) - place} are left"
            )
        yield number, wire, message[place : place + length]
        place += length


def _varints(data: memoryview) -> Iterator[int]:
    place = 0
    while place < len(data):
        number, place = _varint(data, place)
        yield number


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, lowest first, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("it is cut or damaged: it ends within a number")
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >= 2**64:
                break
            return number, place
    raise ValueError("it is damaged: a number has more than 64 bits")


def _checked(value: Any, wire: int, *expected: int) -> Any:
    if wire not in expected:
        raise ValueError(f"it is damaged: a field has type {wire}, not {expected[0]}")
    return value
