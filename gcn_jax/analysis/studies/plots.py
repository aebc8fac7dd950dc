"""Pictures of a finished table, as SVG files: scores along the axis, and by distance to the cue."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from gcn_jax.analysis.figures import svg_figure
from gcn_jax.analysis.studies.findings import Finding, accuracy_by_cue, over_text
from gcn_jax.analysis.studies.paper import Study
from gcn_jax.analysis.studies.runner import CUE_BINS, CUE_STEP, METRICS

_COLORS = ("#3b82c4", "#d9822b", "#2f9e60", "#a15bb5")
_LINES = ("-", "--", ":")


def plot_study(study: Study, findings: Sequence[Finding]) -> str:
    """Draw ours, mean and spread over the seeds, and the paper's, each on an axis of its own.

    Args:
        study: The table.
        findings: The findings of its cells.

    Returns:
        The text of an SVG file.
    """
    with svg_figure(3.4 * (len(study.metrics) + 1), 2.9) as (figure, svg):
        columns = list(dict.fromkeys(finding.cell.column for finding in findings))
        if not study.axis:
            _plot_models(figure.subplots(1, len(study.metrics)), study, findings)
            return svg()
        ours, papers = figure.subplots(1, 2)
        ours.set_title(f"ours, {over_text(findings)}")
        papers.set_title("the paper's, on VOC")
        rows = dict.fromkeys(finding.cell.row for finding in findings)
        for row, color in zip(rows, _COLORS, strict=False):
            of_row = [finding for finding in findings if finding.cell.row == row]
            places = [columns.index(finding.cell.column) for finding in of_row]
            style = {"label": row, "color": color, "marker": "o", "markersize": 3}
            means, spreads = zip(*(f.mean_and_spread("miou") for f in of_row), strict=True)
            ours.errorbar(places, means, spreads, capsize=2, **style)
            papers.plot(places, [f.cell.published["miou"] for f in of_row], **style)
        for axes in (ours, papers):
            axes.set_xticks(range(len(columns)), columns)
            axes.set(xlabel=study.axis, ylabel="mIoU, %")
            axes.grid(alpha=0.25, linewidth=0.6)
            axes.legend(frameon=False)
        return svg()


def _plot_models(every_axes: Sequence[Axes], study: Study, findings: Sequence[Finding]) -> None:
    """Draw one panel a metric, with ours and the paper's by model."""
    names = [finding.cell.row for finding in findings]
    for axes, metric in zip(every_axes, study.metrics, strict=True):
        means, spreads = zip(*(f.mean_and_spread(metric) for f in findings), strict=True)
        paper = [finding.cell.published[metric] for finding in findings]
        axes.errorbar(names, means, spreads, color=_COLORS[0], fmt="o", capsize=2, label="ours")
        axes.plot(names, paper, "D", color=_COLORS[1], markersize=4, label="the paper's, on VOC")
        over = f"\nours {over_text(findings)}" if metric == "miou" else ""
        axes.set_title(f"{METRICS[metric]}, %{over}")
        axes.margins(x=0.2)
        axes.grid(alpha=0.25, linewidth=0.6)
    every_axes[0].legend(frameon=False)


def plot_cues(study: Study, findings: Sequence[Finding]) -> str:
    """Draw the pixel accuracy of `shapes` against the distance to the cue that tells the class.

    Args:
        study: The table.
        findings: The findings of its cells, with "cue" in every result.

    Returns:
        The text of an SVG file.
    """
    with svg_figure(6.4, 3.4) as (figure, svg):
        axes = figure.add_subplot()
        middles = CUE_STEP * (np.arange(CUE_BINS) + 0.5)
        rows = [*dict.fromkeys(finding.cell.row for finding in findings)]
        columns = [*dict.fromkeys(finding.cell.column for finding in findings)]
        # A row of the table is a kind of line, a column a shade; without columns a row is both.
        shares = np.linspace(0, 0.9, max(len(rows), len(columns)))
        shades = matplotlib.colormaps["viridis"](shares)
        for finding in findings:
            row, column = rows.index(finding.cell.row), columns.index(finding.cell.column)
            label = f"{finding.cell.row} {finding.cell.column}".strip()
            line = {"color": shades[column if study.axis else row], "linestyle": _LINES[row]}
            _, accuracy = accuracy_by_cue(finding.results)
            axes.plot(middles, 100 * accuracy, label=label, linewidth=1.4, **line)
        axes.set(xlabel="distance to the cue, px", ylabel="pixel accuracy, %")
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        return svg()
