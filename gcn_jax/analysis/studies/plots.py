"""Pictures of a finished table, as SVG files: scores along its axis, by budget, by cue."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from gcn_jax.analysis.figures import svg_figure
from gcn_jax.analysis.studies.budgets import Curves
from gcn_jax.analysis.studies.findings import Finding, accuracy_by_cue, over_text
from gcn_jax.analysis.studies.paper import Study
from gcn_jax.analysis.studies.runner import CUE_STEP, METRICS, TRAIN_MIOU
from gcn_jax.report.figures import LINE_COLORS

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
        columns = list(dict.fromkeys(finding.contestant.column for finding in findings))
        if not study.axis:
            _plot_models(figure.subplots(1, len(study.metrics)), study, findings)
            return svg()
        ours, papers = figure.subplots(1, 2)
        ours.set_title(f"ours, {over_text(findings)}")
        papers.set_title("the paper's, on VOC")
        rows = dict.fromkeys(finding.contestant.row for finding in findings)
        for row, color in zip(rows, LINE_COLORS, strict=False):
            of_row = [finding for finding in findings if finding.contestant.row == row]
            places = [columns.index(finding.contestant.column) for finding in of_row]
            style = {"label": row, "color": color, "marker": "o", "markersize": 3}
            means, spreads = zip(*(f.mean_and_spread("miou") for f in of_row), strict=True)
            ours.errorbar(places, means, spreads, capsize=2, **style)
            papers.plot(places, [f.contestant.published["miou"] for f in of_row], **style)
        for axes in (ours, papers):
            axes.set_xticks(range(len(columns)), columns)
            axes.set(xlabel=study.axis, ylabel="mIoU, %")
            axes.grid(alpha=0.25, linewidth=0.6)
            axes.legend(frameon=False)
        return svg()


def _plot_models(every_axes: Sequence[Axes], study: Study, findings: Sequence[Finding]) -> None:
    """Draw one panel a metric, with ours and the paper's by model."""
    names = [finding.contestant.row for finding in findings]
    for axes, metric in zip(every_axes, study.metrics, strict=True):
        means, spreads = zip(*(f.mean_and_spread(metric) for f in findings), strict=True)
        paper = [finding.contestant.published[metric] for finding in findings]
        axes.errorbar(names, means, spreads, color=LINE_COLORS[0], fmt="o", capsize=2, label="ours")
        axes.plot(
            names, paper, "D", color=LINE_COLORS[1], markersize=4, label="the paper's, on VOC"
        )
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
        rows = [*dict.fromkeys(finding.contestant.row for finding in findings)]
        columns = [*dict.fromkeys(finding.contestant.column for finding in findings)]
        # A row of the table is a kind of line, a column a shade; without columns a row is both.
        shares = np.linspace(0, 0.9, max(len(rows), len(columns)))
        shades = matplotlib.colormaps["viridis"](shares)
        for finding in findings:
            one = finding.contestant
            row, column = rows.index(one.row), columns.index(one.column)
            line = {"color": shades[column if study.axis else row], "linestyle": _LINES[row]}
            _, accuracy = accuracy_by_cue(finding.results)
            middles = CUE_STEP * (np.arange(len(accuracy)) + 0.5)
            axes.plot(middles, 100 * accuracy, label=one.label, linewidth=1.4, **line)
        axes.set(xlabel="distance to the cue, px", ylabel="pixel accuracy, %")
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        return svg()


def plot_budgets(curves: Curves) -> str:
    """Draw the mIoU of every network against the steps: of val solid, of training images dashed.

    Args:
        curves: The findings of a study at every budget.

    Returns:
        The text of an SVG file.
    """
    with svg_figure(6.4, 3.8) as (figure, svg):
        axes = figure.add_subplot()
        steps = list(curves.by_steps)
        contestants = [finding.contestant for finding in curves.by_steps[steps[0]]]
        for i, color in enumerate(_budget_colors([one.row for one in contestants])):
            found = [findings[i] for findings in curves.by_steps.values()]
            means = [finding.mean_and_spread("miou") for finding in found]
            val, spread = zip(*means, strict=True)
            train = [finding.mean_and_spread(TRAIN_MIOU)[0] for finding in found]
            label = contestants[i].label
            axes.errorbar(steps, val, spread, label=label, capsize=2, color=color, linewidth=1.4)
            axes.plot(steps, train, linestyle="--", color=color, linewidth=1.4)
        axes.plot([], [], color="gray", label="val")
        axes.plot([], [], color="gray", linestyle="--", label="training images")
        axes.set_xscale("log", base=2)
        axes.set_xticks(steps, [f"{count:,}" for count in steps])
        axes.set(xlabel="steps, each a run of its own", ylabel="mIoU, %")
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        return svg()


def _budget_colors(rows: Sequence[str]) -> list[tuple[float, float, float, float]]:
    """Return a colour for each network: a hue for each row of a table, in shades along its axis."""
    every_row = [*dict.fromkeys(rows)]
    if len(every_row) == len(rows):
        return [matplotlib.colormaps["tab10"](i % 10) for i in range(len(rows))]
    hues = ("Blues", "Oranges", "Greens", "Purples", "Reds", "Greys")
    colors = []
    for i, row in enumerate(rows):
        place, last = rows[:i].count(row), max(rows.count(row) - 1, 1)
        hue = hues[every_row.index(row) % len(hues)]
        colors.append(matplotlib.colormaps[hue](0.4 + 0.6 * place / last))
    return colors
