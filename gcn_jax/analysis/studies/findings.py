"""Findings: the scores and costs of one network, over its seeds."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.studies.runner import BOUNDARY_COUNTED, Contestant, Result
from gcn_jax.evaluation.counted import over_range
from gcn_jax.report.facts import duration


class OverSeeds:
    """Scores of one network that was trained with several seeds.

    Attributes:
        results: The scores of each seed.
    """

    results: tuple[Result, ...]

    def values(self, metric: str) -> list[float]:
        """Return a metric of each seed, in percent; nan where nothing was there to score."""
        shares = (result.get(metric) for result in self.results)  # old ones lack younger scores
        return [math.nan if share is None else 100 * share for share in shares]

    def mean_and_spread(self, metric: str) -> tuple[float, float]:
        """Return the mean over the seeds in percent, and their standard deviation (0 for one).

        The mean is nan as soon as one seed has nothing to score.
        """
        values = self.values(metric)
        spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
        return float(np.mean(values)), float(spread)

    def mean_text(self, metric: str) -> str:
        """Return the mean and, of several seeds, the spread, as in "67.1 ± 0.6"; "-" for nan."""
        mean, spread = self.mean_and_spread(metric)
        if math.isnan(mean):
            return "-"
        return f"{mean:.1f} ± {spread:.1f}" if len(self.results) > 1 else f"{mean:.1f}"

    def classes_text(self) -> str:
        """Return the classes that the mIoU is over, as in "over 17 of 21 classes"."""
        return over_text([self])


@dataclasses.dataclass(frozen=True)
class Finding(OverSeeds):
    """A network of a study and what was found of it.

    Attributes:
        contestant: The network.
        results: The scores of each seed.
        cost: The costs of the whole network.
        rate: Its learning rate, where that is its own.
    """

    contestant: Contestant
    results: tuple[Result, ...]
    cost: Cost
    rate: float | None = None


def num_counted(result: Result) -> int:
    """Return how many classes the mIoU of a seed is over: those that have an IoU."""
    return sum(iou is not None for iou in result["per_class_iou"].values())


def over_text(findings: Sequence[OverSeeds]) -> str:
    """Return the classes that the mIoUs of networks and seeds are over.

    Args:
        findings: The networks, all scored on one split.
    """
    results = [result for finding in findings for result in finding.results]
    counts = [num_counted(result) for result in results]
    return over_range(min(counts), max(counts), len(results[0]["per_class_iou"]))


def counted_note(findings: Sequence[OverSeeds], *, boundary: bool = False) -> str:
    """Return "mIoU over 17 of 21 classes; absent from the truth: bus, cat".

    Args:
        findings: The networks, all scored on one split.
        boundary: Whether to say what Boundary IoU is over, too.
    """
    result = findings[0].results[0]
    without = [name for name, iou in result["per_class_iou"].items() if iou is None]
    absent = result.get("absent_classes", without)  # old results have no such list
    note = f"mIoU {over_text(findings)}"
    results = [one for finding in findings for one in finding.results]
    if boundary and all(BOUNDARY_COUNTED in one for one in results):  # old ones lack it
        counts = [one[BOUNDARY_COUNTED] for one in results]
        over = over_range(min(counts), max(counts), len(result["per_class_iou"]))
        note += f", Boundary IoU {over}"
    return f"{note}; absent from the truth: {', '.join(absent)}" if absent else note


def time_note(findings: Sequence[OverSeeds]) -> str:
    """Return "Trained in 3 h 20 min", all runs one after the other; at least, after interruptions.

    Args:
        findings: The networks, at all budgets.
    """
    results = [result for finding in findings for result in finding.results]
    seconds = [result.get("seconds_of_training") for result in results]
    known = [each for each in seconds if each is not None]
    at_least = "at least " * (len(known) < len(seconds))
    return f"Trained in {at_least}{duration(sum(known))}" if known else ""


def accuracy_by_cue(results: Sequence[Result]) -> tuple[np.ndarray, np.ndarray]:
    """Join the counts of pixels of `shapes` by the distance to the cue that tells their class.

    Args:
        results: The scores of one or several seeds, with "cue"; see `runner.score`.

    Returns:
        Pixels, int64 `[bins]`, and the share in 0..1 of them that is right, float64 `[bins]`, NaN
            where there is no pixel.
    """
    total, right = np.sum([result["cue"] for result in results], axis=0)
    share = np.divide(right, total, out=np.full(len(total), np.nan), where=total > 0)
    return total, share
