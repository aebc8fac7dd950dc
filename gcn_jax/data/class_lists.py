"""Lists of classes in the files that people and their tools write: docs/data.md has a table."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gcn_jax.data.classes import ClassTable
from gcn_jax.data.files import read_lines
from gcn_jax.data.name_matching import nearest
from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError

#: Names of the list, the first that is there counts; and in a folder of a split (Roboflow).
CLASS_LISTS = (
    "classes.txt",
    "class_names.txt",
    "labels.txt",
    "labelmap.txt",
    "classes.csv",
    "class_dict.csv",
    "_classes.csv",
)

#: labelme's name of the pixels that have no class: label -1, not 0.
_IGNORED = "__ignore__"

Color = tuple[int, int, int]


class ClassList(NamedTuple):
    """A list of classes as it was read.

    Attributes:
        table: The names, and the colours where the file has them.
        remarks: What was understood in a way that might not be meant.
    """

    table: ClassTable
    remarks: tuple[str, ...] = ()


def read_class_list(root: Path) -> ClassList:
    """Read the classes of a folder.

    Args:
        root: The folder.

    Raises:
        Problem: There is no list, it cannot be understood, it has fewer than 2 or more than 255
            names or one of them twice, or two lists differ.
    """
    paths = [root / name for name in CLASS_LISTS if (root / name).exists()]
    paths = paths or sorted(root.glob("*/_classes.csv"))
    if not paths:
        there = [path.name for path in root.iterdir() if path.suffix in (".txt", ".csv", ".json")]
        near = nearest("classes.txt", there)
        has = f" (it has {', '.join(near)})" if near else ""
        message = (
            f"folder: {root / 'classes.txt'} is missing; write one class name a line, label 0 "
            f"first{has}"
        )
        raise Problem("class names", message)
    first, *others = [(path, _read(path)) for path in paths]
    path, (names, colors, remarks) = first
    for other_path, (other_names, _, _) in others:
        if other_names != names:
            message = (
                f"folder: {path} and {other_path.name} list different classes ({len(names)} and "
                f"{len(other_names)}: {_difference(names, other_names)}); remove one of them"
            )
            raise Problem("class names", message)
    _check(path, names)
    return ClassList(ClassTable(names, colors), remarks)


def read_class_file(path: Path) -> ClassTable:
    """Read the classes of one file: `classes.txt` and the others, or names line by line.

    Args:
        path: The file.

    Raises:
        UserError: It is not there, cannot be understood, has fewer than 2 or more than 255 names,
            or one of them twice.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file of class names")
    try:
        names, colors, _ = _read(path)
        _check(path, names)
    except Problem as problem:  # whose message begins with the data set
        raise UserError(problem.args[0].removeprefix("folder: ")) from None
    return ClassTable(names, colors)


def _difference(names: Sequence[str], others: Sequence[str]) -> str:
    for number, (name, other) in enumerate(zip(names, others, strict=False)):
        if name != other:
            return f"label {number} is {name!r} here, {other!r} there"
    return "one is longer"


def _check(path: Path, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if 2 <= len(names) <= 255 and not twice:
        return
    message = f"folder: {path} must hold 2 to 255 different class names, one a line; it has "
    if twice:
        message += f"{', '.join(map(repr, twice))} more than once"
    elif len(names) == 1:
        message += f"only {names[0]!r}: add a first line `background`, which is label 0"
    else:
        message += f"{len(names)}"
    raise Problem("class names", message)


_Read = tuple[tuple[str, ...], tuple[Color, ...] | None, tuple[str, ...]]


def _read(path: Path) -> _Read:
    if path.name == "labelmap.txt":
        return _read_labelmap(path)
    if path.suffix == ".csv":
        return _read_csv(path)
    names = tuple(read_lines(path))
    remarks = []
    if _IGNORED in names[1:]:
        message = (
            f"folder: {path}: line {names.index(_IGNORED) + 1} is {_IGNORED}, which is labelme's "
            "name of void and no class; remove it, or give that class a name"
        )
        raise Problem("class names", message)
    if names[:1] == (_IGNORED,):
        names = names[1:]
        label_0 = f", so that label 0 is {names[0]!r}" if names else ""
        remarks.append(f"{path}: the line {_IGNORED} is left out, as labelme means it{label_0}")
    return names, None, tuple(remarks)


def _read_labelmap(path: Path) -> _Read:
    """CVAT's: `name:r,g,b:parts:actions`, the order of lines is that of the labels."""
    names, colors = [], []
    for line in read_lines(path):
        if not line.startswith("#"):
            name, *rest = line.split(":")
            names.append(name)
            colors.append(_color(path, line, rest[0].split(",")) if rest and rest[0] else None)
    return tuple(names), _all_or_none(colors), ()


def _read_csv(path: Path) -> _Read:
    """Read `class,r,g,b`, or Roboflow's `Pixel Value, Class`; a first line of titles is skipped."""
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(read_lines(path))]
    except csv.Error as error:
        raise Problem("class names", f"folder: {path}: no list of classes ({error})") from None
    if len(rows) > 1 and not any(_is_number(cell) for cell in rows[0]):
        rows = rows[1:]
    names, colors = [], []
    if all(len(row) == 2 and _is_number(row[0]) for row in rows):
        numbers = {int(number): name for number, name in rows}
        if sorted(numbers) != list(range(len(rows))):
            message = (
                f"folder: {path}: the pixel values must be 0..{len(rows) - 1}, each once; they are "
                f"{', '.join(number for number, _ in rows[:20])}"
            )
            raise Problem("class names", message)
        return tuple(numbers[number] for number in sorted(numbers)), None, ()
    for row in rows:
        if len(row) not in (1, 4):
            message = f"folder: {path}: the line {','.join(row)!r} is not `class,r,g,b`"
            raise Problem("class names", message)
        names.append(row[0])
        colors.append(_color(path, ",".join(row), row[1:]) if row[1:] else None)
    return tuple(names), _all_or_none(colors), ()


def _all_or_none(colors: Sequence[Color | None]) -> tuple[Color, ...] | None:
    given = tuple(color for color in colors if color is not None)
    return given if len(given) == len(colors) else None


def _color(path: Path, line: str, cells: Sequence[str]) -> Color:
    cells = [cell.strip() for cell in cells]
    if len(cells) != 3 or not all(_is_number(cell) and int(cell) <= 255 for cell in cells):
        message = f"folder: {path}: the line {line!r} has no colour r,g,b of three numbers 0..255"
        raise Problem("class names", message)
    red, green, blue = map(int, cells)
    return red, green, blue


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
