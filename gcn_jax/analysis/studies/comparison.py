"""The outcome of a comparison of systems, on the screen and as files."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from gcn_jax import atomic
from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.sheets import Sheet
from gcn_jax.analysis.studies.findings import OverSeeds, counted_note, num_counted
from gcn_jax.analysis.studies.runner import BOUNDARY_COUNTED, METRICS, Result
from gcn_jax.terminal import make_console


@dataclasses.dataclass(frozen=True)
class Row(OverSeeds):
    """A system and what was found of it.

    Attributes:
        system: Its name.
        results: The scores of each seed.
        cost: For one image of the size of a training crop.
        images_per_second: The speed of prediction, for whole images of the validation split.
        memory: Bytes that a training step holds.
        published: The published mIoU on VOC 2012's test set, in %.
    """

    system: str
    results: tuple[Result, ...]
    cost: Cost
    images_per_second: float
    memory: int
    published: float


def print_rows(rows: Sequence[Row], config: ConfigDict) -> None:
    """Print the comparison.

    Args:
        rows: The rows of all systems.
        config: The settings of one of them; the budget is that of all.
    """
    make_console().print(_sheet(rows, config).table())


def write_rows(rows: Sequence[Row], folder: Path, config: ConfigDict) -> None:
    """Write `compare.md` and `compare.csv`.

    Args:
        rows: The rows of all systems.
        folder: The folder to write to.
        config: The settings of one of them; the budget is that of all.
    """
    sheet = _sheet(rows, config)
    seeds = len(rows[0].results)
    lines = [
        f"# {sheet.caption}\n",
        f"Scores in %, of {seeds} seed{'s' * (seeds > 1)}. FLOPs are of one such crop, "
        "images/s of prediction on whole images, memory that of a training step as compiled. "
        "Published scores are of the systems as published, with their own training and CRFs.\n",
        sheet.markdown(),
    ]
    atomic.write(folder / "compare.md", "\n".join(lines))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    measured = ("parameters", "flops", "images_per_second", "training_bytes")
    counts = (BOUNDARY_COUNTED, "num_classes_counted", "num_classes")
    writer.writerow(["system", "seed", *METRICS, *counts, *measured])
    for row in rows:
        own = (row.cost.parameters, row.cost.flops, row.images_per_second, row.memory)
        for result in row.results:
            scores = [result.get(metric) for metric in METRICS]
            scores += [result.get(BOUNDARY_COUNTED), num_counted(result)]
            scores.append(len(result["per_class_iou"]))
            writer.writerow([row.system, result["seed"], *scores, *own])
    atomic.write(folder / "compare.csv", buffer.getvalue())


def _sheet(rows: Sequence[Row], config: ConfigDict) -> Sheet:
    height, width = config.augment.crop_size
    caption = (
        f"{config.data.val}: {config.num_steps} steps of {config.batch_size} crops of "
        f"{height} x {width} px, from scratch"
    )
    heads = ["system", "published, VOC test", *METRICS.values()]
    heads += ["mIoU is", "parameters", "GFLOPs", "images/s", "memory, GiB"]
    cells = [
        [
            row.system,
            f"{row.published:.1f}",
            *(row.mean_text(metric) for metric in METRICS),
            row.classes_text(),
            f"{row.cost.parameters / 1e6:.2f} M",
            f"{row.cost.flops / 1e9:.2f}",
            f"{row.images_per_second:.1f}",
            f"{row.memory / 2**30:.2f}",
        ]
        for row in rows
    ]
    return Sheet(caption, heads, cells, counted_note(rows, boundary=True))
