"""Train what a table of the paper compares, and print it beside the paper's.

    gcn-jax analysis table 1 --data shapes --seeds 3     any of the tables 1 to 5 and 7
    gcn-jax analysis table 2 --params                    its counts, without training

Trains every network of the table with seeds 0 to N - 1 and writes DIR/<data>/table<N>.md, .csv and
.svg, and for shapes table<N>_cue.csv and .svg, accuracy by distance to the cue. What is finished is
not trained again; after an interruption the same command goes on.

The networks are on plain4 (shapes), ResNet-18 (camvid) and ResNet-152 (voc: from ImageNet's
weights, 211,640 steps each, as in the paper). A smaller one on voc: --set model.name=gcn_resnet50
--set backbone_weights=hf://timm/resnet50.tv_in1k, and fewer steps: --set num_steps=N.
What is set holds for every stage of table 7, steps and rate too. Data that you have are found with
--set data.manual_dir=DIR.
"""

from absl import flags

from gcn_jax.analysis.studies.findings import Finding
from gcn_jax.analysis.studies.paper import STUDIES, Study, study
from gcn_jax.analysis.studies.published_counts import count_table
from gcn_jax.analysis.studies.recipes import RECIPES
from gcn_jax.analysis.studies.runner import CellRunner, Result, cost
from gcn_jax.analysis.studies.tables import print_table, write_table
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.errors import UserError
from gcn_jax.terminal import make_console, say

FLAGS = flags.FlagValues()
flags.DEFINE_string("data", "shapes", f"One of: {', '.join(RECIPES)}.", flag_values=FLAGS)
flags.DEFINE_integer("seeds", 1, "How many times each is trained.", 1, flag_values=FLAGS)
flags.DEFINE_string("output", "runs/analysis", "Folder of the runs.", flag_values=FLAGS)
flags.DEFINE_multi_string("set", [], "KEY=VALUE of the recipe.", flag_values=FLAGS)
flags.DEFINE_bool("params", False, "Only count parameters.", flag_values=FLAGS)
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
    findings = _run_all(runner, table, FLAGS.seeds)
    print_table(table, findings)
    path = write_table(table, findings, runner.folder, FLAGS.seeds)
    say(f"wrote {path}")


def _run_all(runner: CellRunner, table: Study, seeds: int) -> list[Finding]:
    """Run every cell with every seed, one seed after the other, so that an early stop is fair."""
    process.keep_freed_memory()
    results: dict[str, list[Result]] = {cell.name: [] for cell in table.cells}
    for seed in range(seeds):
        for cell in table.cells:
            results[cell.name].append(runner.run(cell, seed))
    return [
        Finding(cell, tuple(results[cell.name]), cost(runner.config(cell, 0)))
        for cell in table.cells
    ]
