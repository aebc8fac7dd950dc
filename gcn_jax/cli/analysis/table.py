"""Train what a table of the paper compares, and print it beside the paper's.

    gcn-jax analysis table 1 --data shapes --seeds 3     any of the tables 1 to 5 and 7
    gcn-jax analysis table 2 --params                    its counts, without training

Trains every network of the table with seeds 0 to N - 1 and writes DIR/<data>/table<N>.md, .csv and
.svg, and for shapes table<N>_cue.csv and .svg, accuracy by distance to the cue. Below the table
stands what the runs say to its claims, by paired differences over the seeds, also in
table<N>_claims.csv. What is finished is not trained again; after an interruption the same command
goes on. Started several times at once, with a device or core for each, it shares the runs.

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

from absl import flags

from gcn_jax.analysis.studies.cells import CellRunner
from gcn_jax.analysis.studies.paper import STUDIES, study
from gcn_jax.analysis.studies.published_counts import count_table
from gcn_jax.analysis.studies.recipes import RECIPES
from gcn_jax.analysis.studies.tables import print_table, write_table
from gcn_jax.cli import process
from gcn_jax.cli.analysis import training_flags
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.errors import UserError
from gcn_jax.terminal import make_console, say

FLAGS = flags.FlagValues()
flags.DEFINE_string("data", "shapes", f"One of: {', '.join(RECIPES)}.", flag_values=FLAGS)
flags.DEFINE_string("output", "runs/analysis", "Folder of the runs.", flag_values=FLAGS)
flags.DEFINE_bool("params", False, "Only count parameters.", flag_values=FLAGS)
training_flags.define(FLAGS)
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
    if FLAGS.tune_rates and any(cell.stage for cell in table.cells):
        raise UserError(
            f"--tune_rates is not for table {table.number}, whose stages begin where others end"
        )
    process.keep_freed_memory()
    trained = training_flags.train(FLAGS, runner, table.cells)
    print_table(table, trained.findings, trained.curves)
    path = write_table(table, trained.findings, runner.folder, FLAGS.seeds, trained.curves)
    say(f"wrote {path}")
