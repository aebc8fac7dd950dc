"""XLA's text of a compiled program: its operations, the shapes of arrays, the bytes that they take.

A shape is printed with how it lies in memory: `f32[4,512,512,21]{3,0,2,1:T(8,128)}` has axis 3
next to each other, then axis 0, then 2 and 1, in tiles of 8 x 128. So axis 3 takes 128 places
instead of 21 and axis 0 takes 8 instead of 4: 12 times the bytes of its values.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

#: Kinds of operations in which devices hand arrays to each other.
COLLECTIVES = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)

#: Kinds that stand for the operations of another computation, which run as such.
CONTAINERS = ("while", "call", "conditional")

#: dtype, sizes and, where there is one, the layout.
_SHAPE = re.compile(r"\b([a-z]+\d*\w*)\[([^\]]*)\](?:\{([^{}]*)\})?")


class Shape(NamedTuple):
    """An array of a program.

    Attributes:
        text: As XLA prints it.
        values: Bytes of its values.
        padded: Bytes that it takes in memory, with what fills its tiles.
        space: The memory where it lies; 0 is the device's large one (HBM).
    """

    text: str
    values: int
    padded: int
    space: int = 0


class Operation(NamedTuple):
    """An operation of a program.

    Attributes:
        name: Its name, without "%".
        computation: The name of the computation that it stands in.
        kind: Such as "fusion".
        shapes: The arrays that it makes.
        operands: Names of the operations whose results it reads.
        op_name: The name stack of JAX, "" where it has none.
    """

    name: str
    computation: str
    kind: str
    shapes: tuple[Shape, ...]
    operands: tuple[str, ...]
    op_name: str


class Sent(NamedTuple):
    """Collectives of one kind: how many there are, and the bytes that one device hands over."""

    count: int = 0
    padded: int = 0


def read_shapes(text: str) -> tuple[Shape, ...]:
    """Read a shape, or all of a tuple.

    Args:
        text: Such as `(bf16[64]{0:T(256)(128)(2,1)}, u32[])`.
    """
    return tuple(_shape(*found.group(0, 1, 2, 3)) for found in _SHAPE.finditer(text))


def read_operations(text: str) -> Iterator[Operation]:
    """Read the operations of all computations of a program, in the order of the text.

    Args:
        text: What `compiled.as_text()` returns.
    """
    computation = ""
    for line in text.splitlines():
        if head := re.match(r"(?:ENTRY )?%?([\w.\-]+) \(.*\{$", line):
            computation = head[1]
        elif found := re.match(r"\s+(?:ROOT )?%?([\w.\-]+) = ", line):
            shape, rest = _split(line[found.end() :])
            kind, _, rest = rest.lstrip().partition("(")
            operands, rest = _split("(" + rest)
            label = re.search(r'op_name="([^"]*)"', rest)
            yield Operation(
                found[1],
                computation,
                kind,
                read_shapes(shape),
                tuple(re.findall(r"%([\w.\-]+)", operands)),
                label[1] if label else "",
            )


def executed(text: str) -> set[str]:
    """Return the names of computations whose operations run as such, not inside a fused one.

    Args:
        text: What `compiled.as_text()` returns.
    """
    (entry,) = re.findall(r"^ENTRY %?([\w.\-]+)", text, re.M)
    loops = re.findall(r"(?:body|condition)=%?([\w.\-]+)", text)
    called = re.findall(r" (?:call|async-start)\(.*(?:to_apply|calls)=%?([\w.\-]+)", text)
    branches = re.findall(r"branch_computations=\{([^}]*)\}", text)
    chosen = re.findall(r"[\w.\-]+", " ".join(branches))
    chosen += re.findall(r"(?:true|false)_computation=%?([\w.\-]+)", text)
    return {entry, *loops, *called, *chosen}


def collectives(text: str) -> dict[str, Sent]:
    """Count what devices hand to each other, by the kind of collective.

    Args:
        text: What `compiled.as_text()` returns.
    """
    made: dict[str, int] = {}
    sent: dict[str, Sent] = {}
    for operation in read_operations(text):
        made[operation.name] = sum(shape.padded for shape in operation.shapes)
        kind = operation.kind.removesuffix("-start")
        if kind in COLLECTIVES:
            count, padded = sent.get(kind, Sent())
            padded += sum(made.get(operand, 0) for operand in operation.operands)
            sent[kind] = Sent(count + 1, padded)
    return sent


def _split(text: str) -> tuple[str, str]:
    """Split after the parenthesis that closes the first one, or else at the first blank."""
    if not text.startswith("("):
        first, _, rest = text.partition(" ")
        return first, rest
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return text[: i + 1], text[i + 1 :]
    raise ValueError(f"a parenthesis is not closed: {text[:80]}")


def _shape(text: str, dtype: str, sizes: str, layout: str | None) -> Shape:
    axes = [int(size.strip().removeprefix("<=")) for size in sizes.split(",") if size]
    order, _, how = (layout or "").partition(":")
    minor_to_major = [int(axis) for axis in order.split(",") if axis]
    bits = _bits(dtype, how)
    places = [axes[axis] for axis in reversed(minor_to_major)] if minor_to_major else axes
    for tile in re.findall(r"\(([\d,]+)\)", _after(r"T((?:\([\d,]+\))+)", how)):
        places = _tiled(places, [int(size) for size in tile.split(",")])
    space = _after(r"S\((\d+)\)", how)
    return Shape(text, math.prod(axes) * bits // 8, math.prod(places) * bits // 8, int(space or 0))


def _bits(dtype: str, how: str) -> int:
    """Return the bits of one value."""
    if given := _after(r"E\((\d+)\)", how):
        return int(given)
    if dtype in ("token", "opaque"):
        return 0
    digits = re.search(r"\d+", dtype)  # none in pred
    return int(digits[0]) if digits else 8


def _tiled(places: list[int], tile: list[int]) -> list[int]:
    """Return the places along each axis, the major ones first, once the last axes lie in tiles."""
    places = [1] * (len(tile) - len(places)) + places
    rest, last = places[: -len(tile)], places[-len(tile) :]
    return [*rest, *(-(-n // size) for n, size in zip(last, tile, strict=True)), *tile]


def _after(pattern: str, how: str) -> str:
    found = re.search(pattern, how)
    return found[1] if found else ""
