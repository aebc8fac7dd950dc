"""Conversion of a folder in any known format to the layout that trains."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from gcn_jax.data.convert import binary, objects
from gcn_jax.data.convert.colors import UnknownColors, describe
from gcn_jax.data.convert.plan import Format, Options, Plan
from gcn_jax.data.convert.registry import FORMATS
from gcn_jax.data.convert.writing import Writer, write_class_names
from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError, check_choice
from gcn_jax.terminal import ProgressBar

#: Formats whose class may have to be named.
_NAMED = (binary.NAME, objects.NAME)


class Conversion(NamedTuple):
    """The outcome of a conversion.

    Attributes:
        format: The name of the source format.
        class_names: The names of labels 0..C-1.
        num_images: How many images each split has now; "" where the source has no splits.
        num_written: How many of them were written now.
        problems: What was not converted.
        remarks: What a person should know.
    """

    format: str
    class_names: tuple[str, ...]
    num_images: dict[str, int]
    num_written: int
    problems: list[Problem]
    remarks: list[str]


def convert(source: Path, options: Options, format_name: str | None = None) -> Conversion:
    """Convert a folder to `classes.txt`, `images/` and `masks/` with indexed PNGs.

    What is there already from the same source is left as it is, so that a conversion that was
    interrupted goes on. An image is converted whole or not at all.

    Args:
        source: The folder; it is only read.
        options: The settings, and the folder that is written.
        format_name: The source's format; None to recognise it.

    Raises:
        UserError: The folder is of no known format, or a setting is missing or wrong.
    """
    destination = options.destination
    if not source.is_dir():
        raise UserError(f"{source} is not a folder; unpack archives first")
    if destination.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{destination} lies in {source}, which is only read; name another folder")
    if destination.exists() and not destination.is_dir():
        raise UserError(f"{destination} is a file; name a folder")
    known = recognise(source, format_name)
    if options.name and known.NAME not in _NAMED:
        kinds = " and ".join(_NAMED)
        raise UserError(f"--name is for the formats {kinds}; {source} is of format {known.NAME}")
    if options.classes and known.NAME == binary.NAME:
        raise UserError(f"{source} has masks of 0 and 255; say what 255 is with --name, not a list")
    plan = known.read(source, options)
    plan.problems += _same_place(plan)
    if not plan.items:
        first = f": {plan.problems[0]}" if plan.problems else ""
        more = f" (and {len(plan.problems) - 1} more problems)" if len(plan.problems) > 1 else ""
        message = f"{source}: no image can be converted as {known.NAME}{first}{more}"
        raise UserError(message)
    write_class_names(destination, plan.class_names)
    settings = (options.name, options.void)
    writer = Writer(plan, source, destination, f"{known.NAME} {settings!r}")
    counts: Counter[str] = Counter()
    written = 0
    problems = list(plan.problems)
    with ProgressBar(stderr=True) as bar:
        results = writer.write_all(plan.items)
        for item, (is_new, found) in zip(
            plan.items, bar.track(results, len(plan.items), known.NAME), strict=True
        ):
            counts[item.split] += not found
            written += is_new
            problems += found
    remarks = [*plan.remarks, *_all_unknown(problems), *_left_over(plan, writer, destination)]
    return Conversion(known.NAME, plan.class_names, dict(counts), written, problems, remarks)


def recognise(source: Path, format_name: str | None = None) -> Format:
    """Return the format of a folder.

    Args:
        source: The folder.
        format_name: Its name; None to look.

    Raises:
        UserError: There is no such format, or none fits; the message says what was looked for.
    """
    if format_name is not None:
        names = {one.NAME: one for one in FORMATS}
        check_choice("format", format_name, names)
        return names[format_name]
    for one in FORMATS:
        if one.recognises(source):
            return one
    looked_for = "; ".join(f"{one.LOOKS_FOR} ({one.NAME})" for one in FORMATS)
    there = ", ".join(sorted(path.name for path in source.iterdir())[:8]) or "nothing"
    raise UserError(
        f"{source} is of no format that is known; it has {there}. Looked for: {looked_for}. "
        "--format forces one, and then says what it lacks"
    )


def _same_place(plan: Plan) -> list[Problem]:
    """Take out items that would overwrite another, and name them."""
    first: dict[tuple[str, str], str] = {}
    problems, kept = [], []
    for item in plan.items:
        place = (item.split, item.key.lower())
        if place in first:
            message = f"{item.where} and {first[place]} would both become {item.key!r}; rename one"
            problems.append(Problem("same name", message, item.split or None))
        else:
            first[place] = item.where
            kept.append(item)
    plan.items[:] = kept
    return problems


def _all_unknown(problems: list[Problem]) -> list[str]:
    """Count colours that no list names over all masks."""
    pixels: Counter[int] = Counter()
    for problem in problems:
        if isinstance(problem, UnknownColors):
            pixels.update(problem.pixels)
    return [f"unknown colours in all masks: {describe(pixels)}"] if pixels else []


def _left_over(plan: Plan, writer: Writer, destination: Path) -> list[str]:
    """Name files of the result that the source does not have, such as images that were removed."""
    expected = {path for item in plan.items for path in writer.places(item)}
    there = [
        path
        for kind in ("images", "masks")
        for path in sorted((destination / kind).rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path not in expected
    ]
    if not there:
        return []
    return [
        f"{len(there)} files in {destination}, such as {there[0]}, come from none of the source's "
        "images; delete them if they are old"
    ]
