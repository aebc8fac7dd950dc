"""The table of scores that an evaluation shows in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from gcn_jax.terminal import cell, make_console, say

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
        table.add_row(cell(name), _percent(iou), interval, *map(_percent, others))
    table.add_section()
    table.add_row("mIoU", _percent(scores["miou"]), _range(intervals["miou"]))
    for title, name in _MEANS.items():
        table.add_row(title, _percent(scores[name]))
    if "boundary" in scores:
        table.add_section()
        for title, name in _BORDERS.items():
            table.add_row(title.format(**scores["boundary"]), _percent(scores["boundary"][name]))
    make_console().print(table)
    line = "{num_images} images of {split}, {images_per_second} images/s, compiled shapes: "
    say((line + "{num_compiled_shapes}; {checkpoint}, step {step}").format(**facts))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _range(interval: Sequence[float | None]) -> str:
    return " .. ".join(map(_percent, interval))
