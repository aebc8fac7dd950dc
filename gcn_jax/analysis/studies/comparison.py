"""The outcome of a comparison of systems, on the screen and as files."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from gcn_jax import atomic
from gcn_jax.analysis.sheets import Sheet
from gcn_jax.analysis.studies.budgets import Curves, study_note
from gcn_jax.analysis.studies.claims import Claim, Verdict, claims_csv, claims_sheet, judge
from gcn_jax.analysis.studies.findings import Finding, num_counted
from gcn_jax.analysis.studies.plots import plot_budgets
from gcn_jax.analysis.studies.runner import BOUNDARY_COUNTED, METRICS, TRAIN_MIOU
from gcn_jax.terminal import make_console


@dataclasses.dataclass(frozen=True)
class Row:
    """A system and what was found of it.

    Attributes:
        finding: Its scores and costs, for one image of the size of a training crop.
        images_per_second: The speed of prediction, for whole images of the validation split.
        memory: Bytes that a training step holds.
        equal_time: What was found after the training time of the first system; None where that was
            not asked for.
    """

    finding: Finding
    images_per_second: float
    memory: int
    equal_time: Finding | None = None

    @property
    def system(self) -> str:
        """Its name."""
        return self.finding.contestant.name


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Systems side by side.

    Attributes:
        rows: The rows of all systems; the first is measured against the others.
        config: The settings of one of them; the budget is that of all.
        curves: The findings of all budgets, of which the rows have the last; None for one budget.
    """

    rows: Sequence[Row]
    config: ConfigDict
    curves: Curves | None = None

    def print(self) -> None:
        """Print the table, and what paired runs say to the first being better than the others."""
        console = make_console()
        console.print(self._sheet().table())
        if verdicts := self._verdicts():
            console.print(claims_sheet(verdicts).table())

    def write(self, folder: Path) -> None:
        """Write `compare.md` and `.csv`, and what else there is to say.

        That is `compare_claims.csv`, and of several budgets `compare_budgets.csv` and `.svg`.

        Args:
            folder: The folder to write to.
        """
        sheet, verdicts = self._sheet(), self._verdicts()
        seeds = len(self.rows[0].finding.results)
        in_time = (
            f"In equal time each system trains for as long as {self.rows[0].system} does for its "
            "images, by the images a second that it trained on this machine before.\n"
        )
        lines = [
            f"# {sheet.caption}\n",
            *([in_time] if self.rows[0].equal_time else []),
            f"Scores in %, of {seeds} seed{'s' * (seeds > 1)}. FLOPs are of one such crop, "
            "images/s of prediction on whole images, memory that of a training step as compiled. "
            "Published scores are of the systems as published, with their own training and CRFs.\n",
            sheet.markdown(),
        ]
        if verdicts:
            claims = claims_sheet(verdicts)
            lines += [f"## {claims.caption}\n", claims.markdown()]
            atomic.write(folder / "compare_claims.csv", claims_csv("compare", verdicts))
        if self.curves is not None:
            atomic.write(folder / "compare_budgets.csv", self.curves.csv())
            atomic.write(folder / "compare_budgets.svg", plot_budgets(self.curves))
        atomic.write(folder / "compare.md", "\n".join(lines))
        atomic.write(folder / "compare.csv", self._csv())

    def _verdicts(self) -> list[Verdict]:
        first, *others = (row.system for row in self.rows)
        claims = [Claim(first, other, is_stated=False) for other in others]
        return judge(claims, [row.finding for row in self.rows])

    def _csv(self) -> str:
        """Return one line for each system, budget and seed, with all metrics as shares of 1."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        measured = ("parameters", "flops", "images_per_second", "training_bytes")
        counts = (BOUNDARY_COUNTED, "num_classes_counted", "num_classes")
        heads = ["equal", "system", "seed", "steps", "rate", TRAIN_MIOU]
        writer.writerow([*heads, *METRICS, *counts, *measured])
        found = [("images", row, row.finding) for row in self.rows]
        found += [("time", row, row.equal_time) for row in self.rows if row.equal_time]
        for equal, row, finding in found:
            own = (finding.cost.parameters, finding.cost.flops, row.images_per_second, row.memory)
            for result in finding.results:
                scores = [result.get(metric) for metric in (TRAIN_MIOU, *METRICS)]
                counted = (num_counted(result), len(result["per_class_iou"]))
                writer.writerow(
                    [equal, row.system, result["seed"], result["steps"], finding.rate, *scores]
                    + [result.get(BOUNDARY_COUNTED), *counted, *own]
                )
        return buffer.getvalue()

    def _sheet(self) -> Sheet:
        config, findings = self.config, [row.finding for row in self.rows]
        height, width = config.augment.crop_size
        start = config.init_from or config.backbone_weights or "scratch"
        caption = (
            f"{config.data.val}: {config.num_steps} steps of {config.batch_size} crops of "
            f"{height} x {width} px, from {start}"
        )
        heads = ["system", "published, VOC test", *METRICS.values(), "train mIoU"]
        if self.rows[0].equal_time:
            heads += ["mIoU in equal time", "steps then"]
        tuned = findings[0].rate is not None
        heads += ["mIoU is", *(["rate"] if tuned else []), "parameters", "GFLOPs", "images/s"]
        cells = []
        for row in self.rows:
            finding = row.finding
            published = finding.contestant.published.get("miou")
            cells.append(
                [
                    row.system,
                    "-" if published is None else f"{published:.1f}",
                    *(finding.mean_text(metric) for metric in (*METRICS, TRAIN_MIOU)),
                    *_in_time(row),
                    finding.classes_text(),
                    *([f"{finding.rate:g}"] if tuned else []),
                    f"{finding.cost.parameters / 1e6:.2f} M",
                    f"{finding.cost.flops / 1e9:.2f}",
                    f"{row.images_per_second:.1f}",
                    f"{row.memory / 2**30:.2f}",
                ]
            )
        note = study_note(findings, self.curves, boundary=True)
        return Sheet(caption, [*heads, "memory, GiB"], cells, note)


def _in_time(row: Row) -> list[str]:
    if row.equal_time is None:
        return []
    return [row.equal_time.mean_text("miou"), str(row.equal_time.results[0]["steps"])]
