"""Train what a table of the paper compares, and print it beside the paper's.

    gcn-jax analysis table 1 --data shapes --seeds 3     any of the tables 1 to 5 and 7
    gcn-jax analysis table 2 --params                    its counts, without training

Trains every network of the table with seeds 0 to N - 1 and writes DIR/<data>/table<N>.md, .csv and
.svg, and for shapes table<N>_cue.csv and .svg, accuracy by distance to the cue. Below the table
stands what the runs say to its claims, by paired differences over the seeds, also in
table<N>_claims.csv. What is finished is not trained again; after an interruption the same command
goes on.

    gcn-jax analysis table 2 --seeds 3 --until_flat --tune_rates 0.5,1,2,4

--until_flat trains at the recipe's steps, then at 2, 4 and so on times as many, each a whole run,
until doubling adds no more than 0.5 points (--until_flat=POINTS) to any network's mean, or
--max_steps is reached. The table is that of the last budget and says which; table<N>_budgets.csv
and .svg have all. --tune_rates tries these multiples of the recipe's rate with each network, on a
seed of its own, and trains it at its best one; rates.json has the trials.

    gcn-jax analysis table 5 --data shapes_outlines      outlines count; shapes_thin: thin objects
    gcn-jax analysis table 1 --data shapes_large         256 x 256 pixels
    gcn-jax analysis table 2 --data shapes_few           300 training images

The networks are on plain4 (shapes and its kin), ResNet-18 (camvid) and ResNet-152 (voc: from
ImageNet's weights, 211,640 steps each, as in the paper). A top map of 512 channels on shapes:
--set model.name=gcn_plain4_wide, with an --output of its own. A smaller network on voc:
--set model.name=gcn_resnet50 --set backbone_weights=hf://timm/resnet50.tv_in1k, and fewer steps:
--set num_steps=N.
What is set holds for every stage of table 7, steps and rate too. Data that you have are found with
--set data.manual_dir=DIR.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from absl import flags

from gcn_jax.analysis.studies.budgets import doublings, train_until_flat
from gcn_jax.analysis.studies.paper import STUDIES, Cell, study
from gcn_jax.analysis.studies.published_counts import count_table
from gcn_jax.analysis.studies.rates import trials, tune_rates
from gcn_jax.analysis.studies.recipes import RECIPES
from gcn_jax.analysis.studies.runner import CellRunner, Job
from gcn_jax.analysis.studies.series import Series
from gcn_jax.analysis.studies.tables import print_table, write_table
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.errors import UserError
from gcn_jax.terminal import make_console, say

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


FLAGS = flags.FlagValues()
flags.DEFINE_string("data", "shapes", f"One of: {', '.join(RECIPES)}.", flag_values=FLAGS)
flags.DEFINE_integer("seeds", 1, "How many times each is trained.", 1, flag_values=FLAGS)
flags.DEFINE_string("output", "runs/analysis", "Folder of the runs.", flag_values=FLAGS)
flags.DEFINE_multi_string("set", [], "KEY=VALUE of the recipe.", flag_values=FLAGS)
flags.DEFINE_bool("params", False, "Only count parameters.", flag_values=FLAGS)
flags.DEFINE_flag(
    _OptionalValue(
        _Points(),
        None,
        "until_flat",
        None,
        "Double the steps until that adds no more than 0.5 points, or --until_flat=POINTS.",
    ),
    FLAGS,
)
flags.DEFINE_integer(
    "max_steps",
    None,
    f"The most steps of --until_flat; by default {_MOST_BUDGET} times the recipe's.",
    1,
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "tune_rates", [], "Multiples of the recipe's rate to try, such as 0.5,1,2,4.", flag_values=FLAGS
)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Train, score and print a table."""
    if not arguments or not arguments[0].isdecimal():
        raise UserError(f"table needs a number, one of {', '.join(map(str, STUDIES))}: table 1")
    expect_arguments(arguments, "one table", 1)
    table = study(int(arguments[0]))
    if FLAGS.params:
        make_console().print(count_table(table))
        return
    runner = CellRunner(FLAGS.data, FLAGS.output, FLAGS.set)
    budgets, factors = _budgets(runner.config(table.cells[0], 0).num_steps), _factors()
    if factors and any(cell.stage for cell in table.cells):
        raise UserError(
            f"--tune_rates is not for table {table.number}, whose stages begin where others end"
        )
    process.keep_freed_memory()
    series, cells, seeds, curves = Series(runner), table.cells, FLAGS.seeds, None
    rates = None
    if factors:
        series.plan([*trials(cells, factors), *_jobs(cells, budgets)])
        rates = tune_rates(series, cells, factors)
    series.plan(_jobs(cells, budgets, rates or {}))
    if FLAGS.until_flat is None:
        findings = series.findings(cells, seeds, rates=rates)
    else:
        curves = train_until_flat(series, cells, seeds, budgets, FLAGS.until_flat, rates)
        findings = [*list(curves.by_steps.values())[-1]]
    print_table(table, findings, curves)
    path = write_table(table, findings, runner.folder, seeds, curves)
    say(f"wrote {path}")


def _jobs(
    cells: Sequence[Cell], budgets: Sequence[int], rates: Mapping[str, float] = MappingProxyType({})
) -> list[Job]:
    """Return every run of the table at the most."""
    return [
        Job(cell, seed, budget, rates.get(cell.run_name, 1.0))
        for budget in budgets
        for seed in range(FLAGS.seeds)
        for cell in cells
    ]


def _budgets(num_steps: int) -> list[int]:
    if FLAGS.until_flat is not None:
        return doublings(num_steps, FLAGS.max_steps or _MOST_BUDGET * num_steps)
    if FLAGS.max_steps is not None:
        raise UserError("--max_steps is for --until_flat; without it: --set num_steps=N")
    return [1]


def _factors() -> list[float]:
    """Read --tune_rates."""
    try:
        factors = [float(text) for text in FLAGS.tune_rates]
    except ValueError:
        factors = [0.0]
    if not all(0 < factor < math.inf for factor in factors) or len({*factors}) < len(factors):
        given = ",".join(FLAGS.tune_rates)
        raise UserError(f"--tune_rates={given}: give different numbers above 0, such as 0.5,1,2,4")
    return factors
