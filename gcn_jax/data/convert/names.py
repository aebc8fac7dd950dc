"""Lists of class names and of colours that a person gives a conversion."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gcn_jax.data.convert.plan import Options
from gcn_jax.data.files import read_lines
from gcn_jax.data.problems import Problem

Color = tuple[int, int, int]


class ColorList(NamedTuple):
    """A list of colours and what they mean.

    Attributes:
        names: The classes, in the order in which they appear first.
        name_of: The name of the class of each colour; several colours may be one class.
    """

    names: tuple[str, ...]
    name_of: Mapping[Color, str]


def given_classes(options: Options) -> tuple[str, ...] | None:
    """Return the names of the list that was given with `--classes`; None without one.

    Args:
        options: The settings.

    Raises:
        Problem: It cannot be read, or is empty.
    """
    if options.classes is None:
        return None
    lines = read_lines(options.classes)
    if not lines:
        raise Problem("class names", f"{options.classes} is empty; write one class name a line")
    return tuple(dict.fromkeys(lines))


def has_colors(path: Path) -> bool:
    """Return whether a file is there and has a line with a colour.

    Args:
        path: The file, perhaps a list of names alone.
    """
    try:
        return any(_color_in(_cells(path, line)) for line in read_lines(path))
    except Problem:
        return False


def read_colors(path: Path) -> ColorList:
    """Read `class,r,g,b` (more columns are left alone), CVAT's `class:r,g,b::`, or `r g b class`.

    Args:
        path: The file. A first line of titles and lines that begin with # are skipped.

    Raises:
        Problem: A line is none of these, has no name, or gives a colour a second meaning.
    """
    name_of: dict[Color, str] = {}
    lines = [line for line in read_lines(path) if not line.startswith("#")]
    for number, line in enumerate(lines):
        cells = _cells(path, line)
        if number == 0 and not any(cell.isdecimal() for cell in cells):
            continue
        color = _color_in(cells)
        if color is None:
            message = f"{path}: the line {line!r} is not `class,r,g,b` with numbers 0..255"
            raise Problem("class names", message)
        name, text = cells[0], ",".join(map(str, color))
        if not name:
            message = (
                f"{path}: the colour {text} has no name yet; write the name of its class before "
                "the first comma (colours of one name are one class; void for none)"
            )
            raise Problem("class names", message)
        first = name_of.setdefault(color, name)
        if first != name:
            message = f"{path}: the colour {text} is {first!r} and {name!r}; keep one line"
            raise Problem("class names", message)
    if not name_of:
        raise Problem("class names", f"{path} lists no colours; write `class,r,g,b`, one a line")
    return ColorList(tuple(dict.fromkeys(name_of.values())), name_of)


def _cells(path: Path, line: str) -> list[str]:
    """Split a line into a name, red, green, blue, and what follows."""
    if path.suffix == ".txt" and ":" in line:
        name, rest = line.split(":")[:2]
        cells = [name, *rest.split(",")]
    elif path.suffix == ".txt" and "," not in line:
        *numbers, name = (line.split(None, 3) + [""] * 4)[:4]
        cells = [name, *numbers]
    else:
        try:
            cells = next(csv.reader([line]))
        except csv.Error as error:
            raise Problem("class names", f"{path}: no list of colours ({error})") from None
    return [cell.strip() for cell in cells]


def _color_in(cells: Sequence[str]) -> Color | None:
    if len(cells) < 4 or not all(map(_is_byte, cells[1:4])):
        return None
    red, green, blue = map(int, cells[1:4])
    return red, green, blue


def _is_byte(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255
