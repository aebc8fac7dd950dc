"""A learning rate of its own for every network of a study, by equally many trials."""

import json
from collections.abc import Sequence
from typing import Any

from gcn_jax import atomic
from gcn_jax.analysis.studies.runner import Contestant, Job
from gcn_jax.analysis.studies.series import Series
from gcn_jax.training.loop import DivergedError
from gcn_jax.workdir import read_object

#: The seed of the trials, which is none of a study's.
TRIAL_SEED = 1000


def trials(contestants: Sequence[Contestant], factors: Sequence[float]) -> list[Job]:
    """Return the trials: of every network at every rate, with the recipe's steps.

    Args:
        contestants: The networks.
        factors: How many times the learning rate of the recipe.
    """
    return [Job(one, TRIAL_SEED, rate=factor) for one in contestants for factor in factors]


def tune_rates(
    series: Series, contestants: Sequence[Contestant], factors: Sequence[float]
) -> dict[str, float]:
    """Return the best rate of each network by the mIoU of val; keep the trials in `rates.json`.

    A trial that is finished is read; one whose loss was not finite is kept as null and loses.

    Args:
        series: What runs them.
        contestants: The networks.
        factors: How many times the learning rate of the recipe.

    Returns:
        Run name -> the best factor, the first one of equals.

    Raises:
        UserError: No trial of a network has a finite loss, or something else is at fault.
    """
    path = series.runner.folder / "rates.json"
    kept: dict[str, Any] = read_object(path) if path.exists() else {}
    for job in trials(contestants, factors):
        name, factor = job.contestant.run_name, f"{job.rate:g}"
        scores = kept.setdefault(name, {"seed": TRIAL_SEED, "miou": {}})["miou"]
        if factor in scores and scores[factor] is None:
            continue
        try:
            scores[factor] = series.run(job)["miou"]
        except DivergedError:
            if all(scores.get(f"{other:g}", 0) is None for other in factors if other != job.rate):
                raise
            scores[factor] = None
        atomic.write(path, json.dumps(kept, indent=1) + "\n")
    best = {}
    for one in contestants:
        record = kept[one.run_name]
        best[one.run_name] = max(factors, key=lambda factor: _score(record, factor))
        record["best"] = best[one.run_name]
    atomic.write(path, json.dumps(kept, indent=1) + "\n")
    return best


def _score(record: dict[str, Any], factor: float) -> float:
    score = record["miou"][f"{factor:g}"]
    return -1.0 if score is None else score
