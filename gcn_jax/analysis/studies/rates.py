"""A learning rate of its own for every network of a table, by equally many trials."""

import json
from collections.abc import Sequence
from typing import Any

from gcn_jax import atomic
from gcn_jax.analysis.studies.paper import Cell
from gcn_jax.analysis.studies.runner import Job
from gcn_jax.analysis.studies.series import Series
from gcn_jax.training.loop import DivergedError
from gcn_jax.workdir import read_object

#: The seed of the trials, which is none of a table's.
TRIAL_SEED = 1000


def trials(cells: Sequence[Cell], factors: Sequence[float]) -> list[Job]:
    """Return the trials: of every cell at every rate, with the recipe's steps.

    Args:
        cells: The networks.
        factors: How many times the learning rate of the recipe.
    """
    return [Job(cell, TRIAL_SEED, rate=factor) for cell in cells for factor in factors]


def tune_rates(series: Series, cells: Sequence[Cell], factors: Sequence[float]) -> dict[str, float]:
    """Return the best rate of every cell by the mIoU of val, and keep the trials in `rates.json`.

    A trial that is finished is read; one whose loss was not finite is kept as null and loses.

    Args:
        series: What runs them.
        cells: The networks.
        factors: How many times the learning rate of the recipe.

    Returns:
        Run name -> the best factor, the first one of equals.

    Raises:
        UserError: No trial of a cell has a finite loss, or something else is at fault.
    """
    path = series.runner.folder / "rates.json"
    kept: dict[str, Any] = read_object(path) if path.exists() else {}
    for job in trials(cells, factors):
        name, factor = job.cell.run_name, f"{job.rate:g}"
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
    for cell in cells:
        record = kept[cell.run_name]
        best[cell.run_name] = max(factors, key=lambda factor: _score(record, factor))
        record["best"] = best[cell.run_name]
    atomic.write(path, json.dumps(kept, indent=1) + "\n")
    return best


def _score(record: dict[str, Any], factor: float) -> float:
    score = record["miou"][f"{factor:g}"]
    return -1.0 if score is None else score
