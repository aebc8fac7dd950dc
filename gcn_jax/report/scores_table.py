"""What an evaluation shows in the terminal: a progress bar and a table of scores."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

_MEANS = {
    "pixel accuracy": "pixel_accuracy",
    "mean accuracy": "mean_accuracy",
    "frequency-weighted IoU": "frequency_weighted_iou",
}
_BORDERS = {
    "boundary accuracy ({boundary_width} px)": "boundary_accuracy",
    "internal accuracy": "internal_accuracy",
    "boundary IoU": "boundary_iou",
    "boundary F-score": "boundary_f_score",
}


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
    """Print the scores of each class, the means, and where they are from.

    Args:
        scores: What `EvaluationResult.to_json` gives.
        facts: Those of the `EvaluationResult`, and `split`, `checkpoint` and `step`.
    """
    intervals = scores["intervals"]
    table = Table("class")
    for title in ("IoU", f"{100 * intervals['level']:g} % interval", "precision", "recall"):
        table.add_column(title, justify="right")
    for name, iou in scores["per_class_iou"].items():
        interval = _range(intervals["per_class_iou"][name])
        others = (scores[f"per_class_{measure}"][name] for measure in ("precision", "recall"))
        table.add_row(Text(name), _percent(iou), interval, *map(_percent, others))
    table.add_section()
    table.add_row("mIoU", _percent(scores["miou"]), _range(intervals["miou"]))
    for title, name in _MEANS.items():
        table.add_row(title, _percent(scores[name]))
    if "boundary" in scores:
        table.add_section()
        for title, name in _BORDERS.items():
            table.add_row(title.format(**scores["boundary"]), _percent(scores["boundary"][name]))
    Console().print(table)
    line = "{num_images} images of {split}, {images_per_second} images/s, compiled shapes: "
    print((line + "{num_compiled_shapes}; {checkpoint}, step {step}").format(**facts))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _range(interval: Sequence[float | None]) -> str:
    return " .. ".join(map(_percent, interval))
