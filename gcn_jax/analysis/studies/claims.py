"""The claims of the slides on their tables, and the verdicts of paired runs.

A claim is that one network of a study is better than another in one score. Both were trained with
the same seeds and scored on the same images, so what counts is the difference of each seed: its
mean, and the 95 % interval of that mean by Student's t over the seeds. Each claim is judged for
itself; of twenty true ones that are judged so, one interval is expected to miss its mean.

The verdict, by a rule that was written before the runs:

* *reproduced*: the whole interval is on the claim's side of 0;
* *reversed*: the whole interval is on the other side;
* *not seen*: 0 is within it. The smallest effect that could have been seen is half its width.

Of what the slides do not state, such as the order of networks that they do not know, it is
*better*, *worse* or *not seen* by the same rule. One seed has no interval, and gets no verdict.
"""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from gcn_jax.analysis.sheets import Sheet
from gcn_jax.analysis.studies.findings import Finding
from gcn_jax.analysis.studies.runner import METRICS


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim that a network is better than another.

    Attributes:
        better: Its label.
        worse: That of the other one, in the same study.
        metric: The score, a key of `METRICS`.
        is_stated: Whether the slides state it.
    """

    better: str
    worse: str
    metric: str = "miou"
    is_stated: bool = True


def _at_each(better: str, worse: str, kernel_sizes: Iterable[int]) -> tuple[Claim, ...]:
    return tuple(Claim(f"{better} {k}", f"{worse} {k}") for k in kernel_sizes)


#: Table -> its claims. At k = 5 of Table 3 the paper's own scores say the opposite.
CLAIMS: Mapping[int, tuple[Claim, ...]] = {
    1: (
        Claim("GCN 15", "baseline 1"),
        *(Claim("GCN 15", f"GCN {k}") for k in (3, 5, 7, 9, 11, 13)),
    ),
    2: _at_each("GCN", "Conv", (3, 5, 7, 9)),
    3: _at_each("GCN", "Stack", (3, 5, 7, 9, 11)),
    4: tuple(Claim("GCN 2048", f"Stack {m}") for m in (2048, 1024, 210)),
    5: (
        Claim("GCN", "Baseline", "internal_accuracy"),
        Claim("GCN + BR", "GCN", "boundary_accuracy"),
    ),
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A claim, and what the seeds say to it, in percent points.

    Attributes:
        claim: The claim.
        published: The difference of the published scores; nan where one is not.
        difference: The mean of ours over the seeds; nan where a seed has nothing to score.
        half_width: Half of its 95 % interval; nan of one seed.
        seeds: How many seeds there are.
    """

    claim: Claim
    published: float
    difference: float
    half_width: float
    seeds: int

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the 95 % interval."""
        return self.difference - self.half_width, self.difference + self.half_width

    @property
    def word(self) -> str:
        """The verdict by the rule of this module; "no verdict" without an interval."""
        low, high = self.interval
        if math.isnan(low):
            return "no verdict"
        above, below = ("reproduced", "reversed") if self.claim.is_stated else ("better", "worse")
        if low > 0:
            return above
        return below if high < 0 else "not seen"


def judge(claims: Iterable[Claim], findings: Sequence[Finding]) -> list[Verdict]:
    """Judge the claims on a study.

    Args:
        claims: The claims, such as `CLAIMS` of a table.
        findings: The findings of all its networks, with the same seeds in the same order.

    Returns:
        One verdict for each claim.
    """
    by_label = {finding.contestant.label: finding for finding in findings}
    verdicts = []
    for claim in claims:
        better, worse = by_label[claim.better], by_label[claim.worse]
        values = np.subtract(better.values(claim.metric), worse.values(claim.metric))
        theirs = [one.contestant.published.get(claim.metric, math.nan) for one in (better, worse)]
        mean, half_width = float(np.mean(values)), half_width_of_mean(values)
        verdicts.append(Verdict(claim, theirs[0] - theirs[1], mean, half_width, len(values)))
    return verdicts


def half_width_of_mean(values: np.ndarray) -> float:
    """Return half the width of the 95 % interval of a mean, by Student's t; nan for one value.

    Args:
        values: float `[n]`.
    """
    freedom = len(values) - 1
    if freedom < 1:
        return math.nan
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    return float(stdtrit(freedom, 0.975) * error)


def claims_sheet(verdicts: Sequence[Verdict]) -> Sheet:
    """Return the verdicts for people.

    Args:
        verdicts: What `judge` returned.
    """
    heads = ["claim", "score", "published", "ours", "95 % interval", "verdict"]
    rows = [
        [
            f"{verdict.claim.better} over {verdict.claim.worse}",
            METRICS[verdict.claim.metric],
            "-" if math.isnan(verdict.published) else f"{verdict.published:+.1f}",
            f"{verdict.difference:+.1f}",
            _interval_text(verdict),
            _verdict_text(verdict),
        ]
        for verdict in verdicts
    ]
    seeds = verdicts[0].seeds
    note = f"Differences in points, paired over {seeds} seed{'s' * (seeds > 1)}."
    stated = verdicts[0].claim.is_stated
    return Sheet("The claims" if stated else "The first and the others", heads, rows, note)


def _interval_text(verdict: Verdict) -> str:
    low, high = verdict.interval
    return "-" if math.isnan(low) else f"{low:+.1f} to {high:+.1f}"


def _verdict_text(verdict: Verdict) -> str:
    if verdict.word == "not seen":
        return f"not seen; {verdict.half_width:.1f} would have been"
    return "no verdict of one seed" if verdict.seeds == 1 else verdict.word


def claims_csv(study: str, verdicts: Sequence[Verdict]) -> str:
    """Return one line for each claim.

    Args:
        study: What the first column says, such as "1" of Table 1.
        verdicts: What `judge` returned.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["study", "better", "worse", "metric", "published", "difference", "low", "high"]
        + ["smallest_effect", "seeds", "verdict"]
    )
    for verdict in verdicts:
        claim = verdict.claim
        numbers = (round(verdict.published, 1), verdict.difference, *verdict.interval)
        writer.writerow(
            [study, claim.better, claim.worse, claim.metric]
            + ["" if math.isnan(value) else value for value in (*numbers, verdict.half_width)]
            + [verdict.seeds, verdict.word]
        )
    return buffer.getvalue()
