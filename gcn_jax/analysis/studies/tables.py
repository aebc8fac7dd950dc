"""A finished table, on the screen and as files: Markdown, CSV, and a plot."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gcn_jax import atomic
from gcn_jax.analysis.sheets import Sheet
from gcn_jax.analysis.studies.budgets import Curves, study_note
from gcn_jax.analysis.studies.claims import CLAIMS, claims_csv, claims_sheet, judge
from gcn_jax.analysis.studies.findings import Finding, accuracy_by_cue, num_counted
from gcn_jax.analysis.studies.paper import Study
from gcn_jax.analysis.studies.plots import plot_budgets, plot_cues, plot_study
from gcn_jax.analysis.studies.runner import BOUNDARY_COUNTED, CUE_STEP, METRICS, TRAIN_MIOU
from gcn_jax.terminal import make_console


def print_table(study: Study, findings: Sequence[Finding], curves: Curves | None = None) -> None:
    """Print a table, and the verdicts on its claims.

    Args:
        study: The table.
        findings: The findings of its cells.
        curves: Those of all budgets, of which these are the last.
    """
    console = make_console()
    console.print(_sheet(study, findings, curves).table())
    if verdicts := judge(CLAIMS.get(study.number, ()), findings):
        console.print(claims_sheet(verdicts).table())


def write_table(
    study: Study,
    findings: Sequence[Finding],
    folder: Path,
    seeds: int,
    curves: Curves | None = None,
) -> Path:
    """Write `table<N>.md`, `.csv` and `.svg`, and what else there is to say.

    That is `table<N>_claims.csv` where the table has claims, `table<N>_budgets.csv` and `.svg` of
    several budgets, and for `shapes` `table<N>_cue.csv` and `.svg`.

    Args:
        study: The table.
        findings: The findings of its cells.
        folder: The folder to write to.
        seeds: How many seeds there were.
        curves: The findings of all budgets, of which these are the last.

    Returns:
        The path of the Markdown file.
    """
    path = folder / f"table{study.number}.md"
    sheet = _sheet(study, findings, curves)
    lines = [
        f"# {sheet.caption}\n",
        f"Data `{folder.name}`, {seeds} seed{'s' * (seeds > 1)}: mean and standard deviation in %. "
        "The paper's scores are of PASCAL VOC 2012 val with ResNet-152.\n",
        sheet.markdown(),
    ]
    if verdicts := judge(CLAIMS.get(study.number, ()), findings):
        stated = claims_sheet(verdicts)
        lines += [f"## {stated.caption}\n", stated.markdown()]
        claims = claims_csv(str(study.number), verdicts)
        atomic.write(folder / f"table{study.number}_claims.csv", claims)
    atomic.write(path, "\n".join(lines))
    if curves is not None:
        atomic.write(folder / f"table{study.number}_budgets.csv", curves.csv())
        atomic.write(folder / f"table{study.number}_budgets.svg", plot_budgets(curves))
    atomic.write(path.with_suffix(".csv"), _csv(study, findings))
    atomic.write(path.with_suffix(".svg"), plot_study(study, findings))
    if all("cue" in result for finding in findings for result in finding.results):
        atomic.write(folder / f"table{study.number}_cue.csv", _cue_csv(findings))
        atomic.write(folder / f"table{study.number}_cue.svg", plot_cues(study, findings))
    return path


def _sheet(study: Study, findings: Sequence[Finding], curves: Curves | None) -> Sheet:
    heads = ["head" if study.axis else "model", *([study.axis] if study.axis else [])]
    for metric in study.metrics:
        heads += [f"paper's {METRICS[metric]}", f"ours {METRICS[metric]}"]
    tuned = any(finding.rate is not None for finding in findings)
    heads += ["train mIoU", "mIoU is", *(["rate"] if tuned else []), "parameters", "GFLOPs"]
    rows = []
    for finding in findings:
        cell = finding.contestant
        row = [cell.row, *([cell.column] if study.axis else [])]
        for metric in study.metrics:
            row += [f"{cell.published[metric]:.1f}", finding.mean_text(metric)]
        row += [finding.mean_text(TRAIN_MIOU), finding.classes_text()]
        row += [f"{finding.rate:g}"] if tuned else []
        row += [f"{finding.cost.parameters:,}", f"{finding.cost.flops / 1e9:.2f}"]
        rows.append(row)
    caption = f"Table {study.number}: {study.caption}"
    return Sheet(caption, heads, rows, study_note(findings, curves))


def _csv(study: Study, findings: Sequence[Finding]) -> str:
    """Return one line for each network and seed, with all metrics as shares of 1."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    heads = ["table", "model", "axis", "column", "seed", "steps", "rate", TRAIN_MIOU]
    heads += [*METRICS, BOUNDARY_COUNTED]
    writer.writerow([*heads, "num_classes_counted", "num_classes", "parameters", "flops"])
    for finding in findings:
        cell = finding.contestant
        for result in finding.results:
            writer.writerow(
                [study.number, cell.row, study.axis, cell.column, result["seed"]]
                + [result.get("steps"), finding.rate, result.get(TRAIN_MIOU)]
                + [result.get(metric) for metric in METRICS]
                + [result.get(BOUNDARY_COUNTED), num_counted(result), len(result["per_class_iou"])]
                + [finding.cost.parameters, finding.cost.flops]
            )
    return buffer.getvalue()


def _cue_csv(findings: Sequence[Finding]) -> str:
    """Return pixels and accuracy by distance to the cue, of each seed and of all; empty for none.

    The last distance has no end, written inf; see `runner.CUE_BINS`.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["name", "seed", "from_px", "to_px", "pixels", "accuracy"])
    for finding in findings:
        of_seeds = [(result["seed"], [result]) for result in finding.results]
        for seed, results in (*of_seeds, ("pooled", finding.results)):
            pixels, accuracy = accuracy_by_cue(results)
            starts = CUE_STEP * np.arange(len(pixels))
            ends = [*starts[1:], math.inf]
            shares = ["" if math.isnan(share) else share for share in accuracy]
            for line in zip(starts, ends, pixels, shares, strict=True):
                writer.writerow([finding.contestant.name, seed, *line])
    return buffer.getvalue()
