"""Train GCN and its rivals under one equal budget, and compare them.

    gcn-jax analysis compare --models gcn,fcn8s --data camvid --size reduced --seeds 3

Trains each system with the same recipe (steps, batch, crops, rate), from scratch or what --set
backbone_weights=imagenet says, and writes compare.md, .csv and .png of these systems to
DIR/<data>_<size>, in place of those that are there. In the picture pixels that are right are faint.
What is finished is not trained again. With --equal_time each is trained anew, for as many steps as
it makes in the time that the first of --models took for its own, and has a second score.

Below the table stands whether the first of --models is better than each of the others in mIoU, by
paired differences over the seeds. --until_flat and --tune_rates are those of `analysis table`:
whole runs of ever more steps until nobody gains, and a rate of its own for each system.

    gcn-jax analysis compare --models gcn_mit_b0,baseline_mit_b0,upernet_mit_b0 --data shapes

Heads on one backbone, resnet18, resnet50, convnext_tiny or mit_b0: the large kernel, 1 x 1, and
UPerNet's. Those without batch-norm train with AdamW, at a hundredth of the recipe's rate.

--size reduced is for a CPU; full is each system at its published size, but GCN on ResNet-101 as
its rivals (the paper's is on ResNet-152). Scores as published need pretrained networks, which
the configs fcn8s and so on train. Data that you have are found with --set data.manual_dir=DIR; a
longer budget is --set num_steps=N.
"""

import jax
from absl import flags

from gcn_jax import data, mesh, models
from gcn_jax.analysis.studies.comparison import Comparison, Row
from gcn_jax.analysis.studies.measure import (
    images_per_second,
    training_memory,
    training_speed,
)
from gcn_jax.analysis.studies.prediction_picture import draw
from gcn_jax.analysis.studies.recipes import RECIPES
from gcn_jax.analysis.studies.series import Series
from gcn_jax.analysis.studies.systems import RIVALS, SYSTEMS, EqualTimeRunner, SystemRunner
from gcn_jax.cli import process
from gcn_jax.cli.analysis import training_flags
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.errors import UserError, check_choice
from gcn_jax.inference import Predictor
from gcn_jax.terminal import say

#: Images in the picture.
_SHOWN = 4

FLAGS = flags.FlagValues()
flags.DEFINE_list(
    "models", list(RIVALS), f"Which systems, of {', '.join(SYSTEMS)}.", flag_values=FLAGS
)
flags.DEFINE_string("data", "camvid", f"One of: {', '.join(RECIPES)}.", flag_values=FLAGS)
flags.DEFINE_string(
    "size", None, "reduced or full; by default reduced on a CPU, else full.", flag_values=FLAGS
)
flags.DEFINE_bool(
    "equal_time", False, "Train each also for as long as the first takes.", flag_values=FLAGS
)
flags.DEFINE_string("output", "runs/compare", "Folder of the runs.", flag_values=FLAGS)
training_flags.define(FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Train, score, measure and draw the systems."""
    expect_arguments(arguments, "", 0)
    if not FLAGS.models:
        raise UserError(f"--models is empty; name some of {', '.join(SYSTEMS)}")
    for name in FLAGS.models:
        check_choice("--models", name, SYSTEMS)
    size = FLAGS.size or ("reduced" if jax.default_backend() == "cpu" else "full")
    runner = SystemRunner(FLAGS.data, size, FLAGS.output, FLAGS.set)
    systems = [SYSTEMS[name] for name in FLAGS.models]
    process.keep_freed_memory()

    trained = training_flags.train(FLAGS, runner, systems)
    jobs = [trained.job(system, 0) for system in systems]
    in_time = dict.fromkeys(FLAGS.models)
    if FLAGS.equal_time:
        speeds = {job.contestant.run_name: training_speed(runner.workdir(job)) for job in jobs}
        series = Series(EqualTimeRunner(runner, speeds))
        found = series.findings(systems, FLAGS.seeds, trained.budget, trained.rates)
        in_time = dict(zip(FLAGS.models, found, strict=True))

    rows, maps = [], {}
    configs = [
        runner.config(one, 0, job.budget, job.rate) for one, job in zip(systems, jobs, strict=True)
    ]
    source = data.open_split(configs[0].data.val, configs[0].data)
    shown = [source[len(source) * i // _SHOWN] for i in range(_SHOWN)]
    for job, config, finding in zip(jobs, configs, trained.findings, strict=True):
        predictor = Predictor(
            models.load_pretrained(runner.workdir(job), step="last"),
            batch_size=config.eval_batch_size,
            mesh=mesh.data_mesh(jax.local_devices()),
        )
        by_index = {index: labels for index, _, labels in predictor.predict(shown)}
        name = job.contestant.name
        maps[name] = [by_index[i] for i in range(_SHOWN)]
        speed = images_per_second(predictor, source)
        rows.append(Row(finding, speed, training_memory(config), in_time[name]))
    comparison = Comparison(rows, configs[0], trained.curves)
    comparison.print()
    comparison.write(runner.folder)
    draw(shown, maps, source, runner.folder / "compare.png", errors=True)
    say(f"wrote compare.md, .csv and .png, of {', '.join(maps)}, in {runner.folder}")
