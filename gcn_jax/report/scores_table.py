"""The table of scores that an evaluation shows in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from gcn_jax.evaluation.boundary import BOUNDARY_SCORES
from gcn_jax.evaluation.counted import counted_classes, over_classes
from gcn_jax.evaluation.metrics import CLASS_SCORES, SCORES
from gcn_jax.terminal import cell, make_console, say


def print_scores(scores: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Print the scores of each class, the means, and where they are from.

    Args:
        scores: What `EvaluationResult.to_json` gives.
        facts: Those of the `EvaluationResult`, and `split`, `checkpoint` and `step`.
    """
    intervals = scores["intervals"]
    table = Table("class")
    others = [score.title for score in CLASS_SCORES]
    for title in ("IoU", f"{100 * intervals['level']:g} % interval", *others):
        table.add_column(title, justify="right")
    for name, iou in scores["per_class_iou"].items():
        interval = _range(intervals["per_class_iou"][name])
        shares = (scores[score.key][name] for score in CLASS_SCORES)
        table.add_row(cell(name), _percent(iou), interval, *map(_percent, shares))
    table.add_section()
    names = list(scores["per_class_iou"])
    for score in SCORES:
        interval = _range(intervals[score.key]) if score.key in intervals else ""
        over = over_classes(scores["num_classes_counted"], len(names))
        title = f"{score.title} {over}" if score.key == "miou" else score.title
        table.add_row(title, _percent(scores[score.key]), interval)
    if "boundary" in scores:
        table.add_section()
        for score in BOUNDARY_SCORES:
            over = over_classes(scores["boundary"]["boundary_iou_num_classes_counted"], len(names))
            title = f"{score.title} {over}" if score.key == "boundary_iou" else score.title
            table.add_row(title, _percent(scores["boundary"][score.key]))
    make_console().print(table)
    if scores["absent_classes"]:
        matrix = np.array(scores["confusion_matrix"])
        say(
            f"mIoU {_percent(scores['miou'])} "
            + counted_classes(scores["num_classes_counted"], names, matrix, facts["split"])
        )
    images = "image" if facts["num_images"] == 1 else "images"
    line = (
        f"{{num_images}} {images} of {{split}}, {{images_per_second}} images/s, compiled shapes: "
    )
    say((line + "{num_compiled_shapes}; {checkpoint}, step {step}").format(**facts))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _range(interval: Sequence[float | None]) -> str:
    return "-" if None in interval else " .. ".join(map(_percent, interval))
