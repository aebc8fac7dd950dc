"""A learning rate of its own for every network of a study, by equally many trials."""

import json
from collections.abc import Sequence
from pathlib import Path
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

    def try_rate(job: Job) -> float | None:
        factor, scores = f"{job.rate:g}", _scores(_read(path), job)
        if factor in scores and scores[factor] is None:
            return None
        miou = None
        try:
            miou = series.run(job)["miou"]
        except DivergedError:
            if all(scores.get(f"{other:g}", 0) is None for other in factors if other != job.rate):
                raise
        kept = _read(path)  # anew: other processes keep their trials there, too
        _scores(kept, job)[factor] = miou
        atomic.write(path, json.dumps(kept, indent=1) + "\n")
        return miou

    found = series.run_all(trials(contestants, factors), try_rate)
    best, kept = {}, _read(path)
    for one in contestants:
        scores = [found[job] for job in trials([one], factors)]
        ranked = [-1.0 if score is None else score for score in scores]
        best[one.run_name] = factors[ranked.index(max(ranked))]
        kept[one.run_name]["best"] = best[one.run_name]
    atomic.write(path, json.dumps(kept, indent=1) + "\n")
    return best


def _read(path: Path) -> dict[str, Any]:
    return read_object(path) if path.exists() else {}


def _scores(kept: dict[str, Any], job: Job) -> dict[str, float | None]:
    """Return the trials of a network, factor -> mIoU, where they can be changed."""
    return kept.setdefault(job.contestant.run_name, {"seed": TRIAL_SEED, "miou": {}})["miou"]
