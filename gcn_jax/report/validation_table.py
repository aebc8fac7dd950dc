"""A validation as text: tables for a person at a terminal."""

from collections import defaultdict
from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table

from gcn_jax.data.survey import SplitSummary
from gcn_jax.data.validation import Validation
from gcn_jax.terminal import cell

#: Problems of one kind that are shown.
_SHOWN = 10


def print_validation(validation: Validation, console: Console) -> None:
    """Print what a data set holds, what is wrong with it, and what is odd.

    Args:
        validation: What was found.
        console: Where to, from `terminal.make_console`.
    """
    if validation.splits:
        console.print(_split_table(validation))
        console.print(_class_table(validation))
    for remark in validation.remarks:
        console.print(cell(f"remark: {remark}"), soft_wrap=True)
    for line in _problem_lines(validation):
        console.print(cell(line), soft_wrap=True)
    count = len(validation.problems)
    problems = "no problems" if not count else f"{count} problem{'s' * (count > 1)}"
    console.print(cell(f"{validation.name}: {problems}"), soft_wrap=True)


def _split_table(validation: Validation) -> Table:
    table = _table("split")
    for title in ("images", "smallest\n(h x w)", "median\n(h x w)", "largest\n(h x w)", "void, %"):
        table.add_column(title, justify="right")
    for split, summary in validation.splits.items():
        sizes = [f"{height}x{width}" for height, width in summary.typical_sizes] or ["-"] * 3
        table.add_row(split, f"{summary.num_images:,}", *sizes, _share(summary, None))
    return table


def _class_table(validation: Validation) -> Table:
    """One row for each class: its share of the labelled pixels and its images, split by split."""
    table = _table("", "class")
    labelled = {name: one for name, one in validation.splits.items() if one.num_pixels}
    for split in labelled:
        table.add_column(f"{split}\npx, %", justify="right")
        table.add_column(f"{split}\nimages", justify="right")
    weights = validation.class_weights
    for method in weights:
        table.add_column("weight,\n" + method.replace("_", "\n"), justify="right")
    for number, name in enumerate(validation.class_names):
        cells = []
        for summary in labelled.values():
            cells += [_share(summary, number), f"{summary.statistics.images[number]:,}"]
        cells += [f"{array[number]:.3f}" for array in weights.values()]
        table.add_row(str(number), cell(name), *cells)
    return table


def _table(*titles: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _share(summary: SplitSummary, number: int | None) -> str:
    """The share of a class in the labelled pixels; without a class that of void in all pixels."""
    statistics = summary.statistics
    if number is None:
        part, whole = statistics.void, summary.num_pixels
    else:
        part, whole = statistics.pixels[number], statistics.pixels.sum()
    return f"{100 * part / whole:.2f}" if whole else "-"


def _problem_lines(validation: Validation) -> Iterator[str]:
    """Group the problems by kind; name the split of each."""
    kinds = defaultdict(list)
    for problem in validation.problems:
        kinds[problem.kind].append(problem)
    for kind, problems in kinds.items():
        yield f"{kind}: {len(problems)}"
        for problem in problems[:_SHOWN]:
            message = problem.told(lambda key: f"--{key.rpartition('.')[2]}")  # as validate has it
            yield f"  [{problem.split}] {message}" if problem.split else f"  {message}"
        if len(problems) > _SHOWN:
            yield f"  and {len(problems) - _SHOWN} more"
