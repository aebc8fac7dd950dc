"""Budgets that are doubled until no network of a study gains by it: the rule, and its curves."""

import csv
import dataclasses
import io
import math
from collections.abc import Mapping, Sequence

from gcn_jax.analysis.studies.findings import Finding, counted_note, time_note
from gcn_jax.analysis.studies.runner import TRAIN_MIOU, Contestant
from gcn_jax.analysis.studies.series import Series
from gcn_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Curves:
    """The scores of the networks of a study at each budget.

    They are flat where the last doubling added no more than `points` to the mean over the seeds of
    every network's mIoU. Every budget is a run of its own, with the schedule of its length.

    Attributes:
        by_steps: Steps, from few to many -> the findings of all networks.
        points: In percent points of mIoU.
    """

    by_steps: Mapping[int, Sequence[Finding]]
    points: float

    def gains(self) -> dict[str, float]:
        """Return what the last doubling added: label -> points of mIoU; none before it."""
        if len(self.by_steps) < 2:
            return {}
        before, after = (list(self.by_steps.values())[i] for i in (-2, -1))
        return {
            new.contestant.label: new.mean_and_spread("miou")[0] - old.mean_and_spread("miou")[0]
            for old, new in zip(before, after, strict=True)
        }

    @property
    def is_flat(self) -> bool:
        """Whether the rule holds for every network; a mIoU that is not defined breaks it."""
        gains = self.gains().values()
        return bool(gains) and all(gain <= self.points for gain in gains)

    @property
    def findings(self) -> list[Finding]:
        """Those of all budgets."""
        return [finding for findings in self.by_steps.values() for finding in findings]

    @property
    def note(self) -> str:
        """A line that says whether the rule or --max_steps ended it."""
        gains, (before, after) = self.gains(), list(self.by_steps)[-2:]
        most = max(gains, key=lambda label: math.inf if math.isnan(gains[label]) else gains[label])
        doubled = f"from {before:,} to {after:,} steps"
        gain = f"{most}, {gains[most]:+.1f}"
        if self.is_flat:
            return f"Flat: {doubled} no network gains more than {self.points:g} points ({gain})."
        return (
            f"Not flat: --max_steps is reached, and {doubled} a network gains more than "
            f"{self.points:g} points ({gain})."
        )

    def csv(self) -> str:
        """Return one line for each budget, network and seed."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["steps", "name", "seed", "miou", TRAIN_MIOU])
        for steps, findings in self.by_steps.items():
            for finding in findings:
                for result in finding.results:
                    scores = (result["miou"], result.get(TRAIN_MIOU))
                    writer.writerow([steps, finding.contestant.name, result["seed"], *scores])
        return buffer.getvalue()


def study_note(
    findings: Sequence[Finding], curves: Curves | None, *, boundary: bool = False
) -> str:
    """Return what stands below the table of a study: what was counted, flatness, hours.

    Args:
        findings: The findings of the table.
        curves: Those of all budgets, of which these are the last; None for one budget.
        boundary: Whether to say what Boundary IoU is over, too.
    """
    notes = [counted_note(findings, boundary=boundary)]
    notes += [] if curves is None else [curves.note]
    hours = time_note(findings if curves is None else curves.findings)
    return "\n\n".join([*notes, *([f"{hours}."] if hours else [])])


def doublings(num_steps: int, max_steps: int) -> list[int]:
    """Return 1, 2, 4 and so on: how many times the steps of the recipe each budget has.

    Args:
        num_steps: The steps of the recipe.
        max_steps: The most that a budget may have.

    Raises:
        UserError: Not even one doubling is allowed.
    """
    if max_steps < 2 * num_steps:
        raise UserError(
            f"--max_steps={max_steps} allows no doubling of {num_steps} steps; give at least "
            f"{2 * num_steps}"
        )
    return [2**i for i in range((max_steps // num_steps).bit_length())]


def train_until_flat(
    series: Series,
    contestants: Sequence[Contestant],
    seeds: int,
    budgets: Sequence[int],
    points: float,
    rates: Mapping[str, float] | None = None,
) -> Curves:
    """Train the networks of a study at one budget after the other, until `Curves.is_flat`.

    Args:
        series: What runs them.
        contestants: The networks.
        seeds: How many seeds, from 0 on.
        budgets: What `doublings` returned.
        points: In percent points of mIoU; see `Curves`.
        rates: As of `Series.findings`.
    """
    num_steps = series.runner.config(contestants[0], 0).num_steps
    curves = Curves({}, points)
    for budget in budgets:
        found = series.findings(contestants, seeds, budget, rates)
        curves = Curves({**curves.by_steps, num_steps * budget: found}, points)
        if curves.is_flat:
            break
    return curves
