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
        published: The published mIoU on VOC 2012's test set, in %; None where there is none.
        equal_time: The scores of each seed after the training time of the first system; none where
            that was not asked for.
    """

    system: str
    results: tuple[Result, ...]
    cost: Cost
    images_per_second: float
    memory: int
    published: float | None
    equal_time: tuple[Result, ...] = ()


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
    in_time = (
        f"In equal time each system trains for as long as {rows[0].system} does for its images, by "
        "the images a second that it trained on this machine before.\n"
    )
    lines = [
        f"# {sheet.caption}\n",
        *([in_time] if rows[0].equal_time else []),
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
    writer.writerow(["equal", "system", "seed", "steps", *METRICS, *counts, *measured])
    runs = [("images", row, result) for row in rows for result in row.results]
    runs += [("time", row, result) for row in rows for result in row.equal_time]
    for equal, row, result in runs:
        scores = [result.get(metric) for metric in METRICS]
        scores += [result.get(BOUNDARY_COUNTED), num_counted(result), len(result["per_class_iou"])]
        own = (row.cost.parameters, row.cost.flops, row.images_per_second, row.memory)
        writer.writerow([equal, row.system, result["seed"], result["steps"], *scores, *own])
    atomic.write(folder / "compare.csv", buffer.getvalue())


def _sheet(rows: Sequence[Row], config: ConfigDict) -> Sheet:
    height, width = config.augment.crop_size
    caption = (
        f"{config.data.val}: {config.num_steps} steps of {config.batch_size} crops of "
        f"{height} x {width} px, from {config.init_from or config.backbone_weights or 'scratch'}"
    )
    heads = ["system", "published, VOC test", *METRICS.values()]
    if rows[0].equal_time:
        heads += ["mIoU in equal time", "steps then"]
    heads += ["mIoU is", "parameters", "GFLOPs", "images/s", "memory, GiB"]
    cells = [
        [
            row.system,
            "-" if row.published is None else f"{row.published:.1f}",
            *(row.mean_text(metric) for metric in METRICS),
            *_in_time(row),
            row.classes_text(),
            f"{row.cost.parameters / 1e6:.2f} M",
            f"{row.cost.flops / 1e9:.2f}",
            f"{row.images_per_second:.1f}",
            f"{row.memory / 2**30:.2f}",
        ]
        for row in rows
    ]
    return Sheet(caption, heads, cells, counted_note(rows, boundary=True))


def _in_time(row: Row) -> list[str]:
    if not row.equal_time:
        return []
    then = dataclasses.replace(row, results=row.equal_time)
    return [then.mean_text("miou"), str(row.equal_time[0]["steps"])]
