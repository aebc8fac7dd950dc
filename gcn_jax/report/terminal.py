"""What an evaluation shows in the terminal: a progress bar and a table of scores."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

_TITLES = {"mIoU": "miou", "pixel accuracy": "pixel_accuracy", "mean accuracy": "mean_accuracy"}


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for the time of the block, where somebody can see it.

    Args:
        name: What is being done.

    Yields:
        A function that is told how many images are done, and of how many.
    """
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def print_scores(scores: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Print the IoU of each class, the means, and where they are from.

    Args:
        scores: What `Scores.to_json` gives.
        facts: Those of the `EvaluationResult`, and `split`, `checkpoint` and `step`.
    """
    table = Table("class", "IoU, %")
    for name, iou in scores["per_class_iou"].items():
        table.add_row(name, _percent(iou))
    table.add_section()
    for title, name in _TITLES.items():
        table.add_row(title, _percent(scores[name]))
    Console().print(table)
    line = "{num_images} images of {split}, {images_per_second} images/s, compiled shapes: "
    print((line + "{num_compiled_shapes}; {checkpoint}, step {step}").format(**facts))


def _percent(share: float | None) -> str:
    return "absent" if share is None else f"{100 * share:6.2f}"
