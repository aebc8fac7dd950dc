"""Lists of class names and of colours that a person gives a conversion."""

import csv
from collections.abc import Mapping
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


def read_colors(path: Path) -> ColorList:
    """Read `class,r,g,b` (more columns are left alone), or CVAT's `class:r,g,b::`.

    Args:
        path: The file. A first line of titles and lines that begin with # are skipped.

    Raises:
        Problem: A line is neither, has no name, or gives a colour a second meaning.
    """
    name_of: dict[Color, str] = {}
    lines = [line for line in read_lines(path) if not line.startswith("#")]
    for number, line in enumerate(lines):
        if path.name.endswith(".txt") and ":" in line:
            name, rest = line.split(":")[:2]
            cells = [name, *rest.split(",")]
        else:
            cells = next(csv.reader([line]))
        cells = [cell.strip() for cell in cells]
        if number == 0 and not any(cell.isdecimal() for cell in cells):
            continue
        if len(cells) < 4 or not all(_is_byte(cell) for cell in cells[1:4]):
            message = f"{path}: the line {line!r} is not `class,r,g,b` with numbers 0..255"
            raise Problem("class names", message)
        red, green, blue = map(int, cells[1:4])
        if not cells[0]:
            message = (
                f"{path}: the colour {red},{green},{blue} has no name yet; write the name of its "
                "class before the first comma (colours of one name are one class; void for none)"
            )
            raise Problem("class names", message)
        if name_of.setdefault((red, green, blue), cells[0]) != cells[0]:
            first = name_of[red, green, blue]
            message = f"{path}: the colour {red},{green},{blue} is {first!r} and {cells[0]!r}"
            raise Problem("class names", message)
    if not name_of:
        raise Problem("class names", f"{path} lists no colours; write `class,r,g,b`, one a line")
    return ColorList(tuple(dict.fromkeys(name_of.values())), name_of)


def _is_byte(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255
