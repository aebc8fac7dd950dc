"""The flags of the verbs that train what they compare, and the training that they ask for."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from absl import flags

from gcn_jax.analysis.studies.budgets import Curves, doublings, train_until_flat
from gcn_jax.analysis.studies.findings import Finding
from gcn_jax.analysis.studies.rates import trials, tune_rates
from gcn_jax.analysis.studies.runner import Contestant, Job, Runner
from gcn_jax.analysis.studies.series import Series
from gcn_jax.errors import UserError

#: The most steps of --until_flat by default, as a multiple of the recipe's.
_MOST_BUDGET = 16


class _Points(flags.ArgumentParser):
    """A number, 0.5 where the flag stands alone."""

    syntactic_help = "a number of points, 0 or more"

    def parse(self, argument: str | float | None) -> float | None:
        """Read what follows the flag; absl makes "true" of nothing and "false" of --no."""
        if argument in ("true", "false"):
            return 0.5 if argument == "true" else None
        try:
            points = float(argument or 0)
        except ValueError:
            points = -1.0
        if not 0 <= points < 100:
            raise ValueError(f"{argument!r} is not {self.syntactic_help}, such as 0.5")
        return points


class _OptionalValue(flags.Flag):
    """A flag that may stand alone, as one of absl's that are true or false."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.boolean = True


def define(values: flags.FlagValues) -> None:
    """Define --seeds, --set, --until_flat, --max_steps and --tune_rates."""
    flags.DEFINE_integer("seeds", 1, "How many times each is trained.", 1, flag_values=values)
    flags.DEFINE_multi_string("set", [], "KEY=VALUE of the recipe.", flag_values=values)
    flags.DEFINE_flag(
        _OptionalValue(
            _Points(),
            None,
            "until_flat",
            None,
            "Double the steps until that adds no more than 0.5 points, or --until_flat=POINTS.",
        ),
        values,
    )
    flags.DEFINE_integer(
        "max_steps",
        None,
        f"The most steps of --until_flat; by default {_MOST_BUDGET} times the recipe's.",
        1,
        flag_values=values,
    )
    flags.DEFINE_list(
        "tune_rates",
        [],
        "Multiples of the recipe's rate to try, such as 0.5,1,2,4.",
        flag_values=values,
    )


class Trained(NamedTuple):
    """The outcome of training what is compared.

    Attributes:
        findings: The findings of every network, at the last budget.
        budget: How many times the steps of the recipe that is.
        rates: Run name -> how many times the rate of the recipe; None without --tune_rates.
        curves: The findings at every budget; None without --until_flat.
    """

    findings: Sequence[Finding]
    budget: int = 1
    rates: Mapping[str, float] | None = None
    curves: Curves | None = None

    def job(self, contestant: Contestant, seed: int) -> Job:
        """Return the run of a network whose scores are in `findings`.

        Args:
            contestant: The network.
            seed: The seed.
        """
        return Job(contestant, seed, self.budget, (self.rates or {}).get(contestant.run_name, 1.0))


def train(values: flags.FlagValues, runner: Runner, contestants: Sequence[Contestant]) -> Trained:
    """Train and score networks as the flags say; what is finished is read.

    Args:
        values: The flags of `define`.
        runner: What trains and scores.
        contestants: The networks.

    Raises:
        UserError: The flags do not fit together, or something of the user's is at fault.
    """
    num_steps = runner.config(contestants[0], 0).num_steps
    budgets, factors, seeds = _budgets(values, num_steps), _factors(values), values.seeds
    series, rates = Series(runner), None
    if factors:
        series.plan([*trials(contestants, factors), *_jobs(contestants, seeds, budgets)])
        rates = tune_rates(series, contestants, factors)
    series.plan(_jobs(contestants, seeds, budgets, rates or {}))
    if values.until_flat is None:
        return Trained(series.findings(contestants, seeds, rates=rates), rates=rates)
    curves = train_until_flat(series, contestants, seeds, budgets, values.until_flat, rates)
    steps, findings = list(curves.by_steps.items())[-1]
    return Trained(findings, steps // num_steps, rates, curves)


def _jobs(
    contestants: Sequence[Contestant],
    seeds: int,
    budgets: Sequence[int],
    rates: Mapping[str, float] = MappingProxyType({}),
) -> list[Job]:
    """Return every run at the most."""
    return [
        Job(one, seed, budget, rates.get(one.run_name, 1.0))
        for budget in budgets
        for seed in range(seeds)
        for one in contestants
    ]


def _budgets(values: flags.FlagValues, num_steps: int) -> list[int]:
    if values.until_flat is not None:
        return doublings(num_steps, values.max_steps or _MOST_BUDGET * num_steps)
    if values.max_steps is not None:
        raise UserError("--max_steps is for --until_flat; without it: --set num_steps=N")
    return [1]


def _factors(values: flags.FlagValues) -> list[float]:
    """Read --tune_rates."""
    try:
        factors = [float(text) for text in values.tune_rates]
    except ValueError:
        factors = [0.0]
    if not all(0 < factor < math.inf for factor in factors) or len({*factors}) < len(factors):
        given = ",".join(values.tune_rates)
        raise UserError(f"--tune_rates={given}: give different numbers above 0, such as 0.5,1,2,4")
    return factors
