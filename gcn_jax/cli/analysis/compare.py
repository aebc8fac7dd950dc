"""Train GCN and its rivals under one equal budget, and compare them.

    gcn-jax analysis compare --models gcn,fcn8s --data camvid --size reduced --seeds 3

Trains each system with the same recipe (steps, batch, crops, rate), from scratch or what --set
backbone_weights=imagenet says, and writes compare.md, .csv and .png of these systems to
DIR/<data>_<size>, in place of those that are there. In the picture pixels that are right are faint.
What is finished is not trained again. With --equal_time each is trained anew, for as many steps as
it makes in the time that the first of --models took for its own, and has a second score.

--size reduced is for a CPU; full is each system at its published size, but GCN on ResNet-101 as
its rivals (the paper's is on ResNet-152). Scores as published need pretrained networks, which
the configs fcn8s and so on train. Data that you have are found with --set data.manual_dir=DIR; a
longer budget is --set num_steps=N.
"""

from collections.abc import Mapping
from pathlib import Path

import jax
from absl import flags
from ml_collections import ConfigDict

from gcn_jax import data, mesh, models
from gcn_jax.analysis.studies.comparison import Row, print_rows, write_rows
from gcn_jax.analysis.studies.measure import (
    images_per_second,
    training_memory,
    training_speed,
)
from gcn_jax.analysis.studies.prediction_picture import draw
from gcn_jax.analysis.studies.recipes import RECIPES, set_values
from gcn_jax.analysis.studies.runner import Result, cost, run_once
from gcn_jax.analysis.studies.systems import RIVALS, SIZES, SYSTEMS, system_config
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.errors import UserError, check_choice
from gcn_jax.inference import Predictor
from gcn_jax.terminal import say

#: Settings that are a system's or a seed's own.
_DECIDED = ("seed", "eval_every", "model.name")
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
flags.DEFINE_integer("seeds", 1, "How many times each is trained.", 1, flag_values=FLAGS)
flags.DEFINE_bool(
    "equal_time", False, "Train each also for as long as the first takes.", flag_values=FLAGS
)
flags.DEFINE_string("output", "runs/compare", "Folder of the runs.", flag_values=FLAGS)
flags.DEFINE_multi_string("set", [], "KEY=VALUE of the recipe.", flag_values=FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Train, score, measure and draw the systems."""
    expect_arguments(arguments, "", 0)
    if not FLAGS.models:
        raise UserError(f"--models is empty; name some of {', '.join(SYSTEMS)}")
    name, seeds = FLAGS.data, FLAGS.seeds
    size = FLAGS.size or ("reduced" if jax.default_backend() == "cpu" else "full")
    check_choice("--data", name, RECIPES)
    check_choice("--size", size, SIZES)
    configs = {}
    for system in FLAGS.models:
        config = system_config(system, name, size)
        configs[system] = set_values(config, FLAGS.set, decided=_DECIDED)
        config.eval_every = config.num_steps
    process.keep_freed_memory()

    folder = Path(FLAGS.output) / f"{name}_{size}"
    results = _train(configs, seeds, folder)
    in_time: dict[str, list[Result]] = {system: [] for system in configs}
    if FLAGS.equal_time:
        in_time = _train(_for_equal_time(configs, folder), seeds, folder / "equal_time")

    rows, maps = [], {}
    options = next(iter(configs.values())).data
    source = data.open_split(options.val, options)
    shown = [source[len(source) * i // _SHOWN] for i in range(_SHOWN)]
    for system, config in configs.items():
        predictor = _predictor(folder / f"{system}_seed0", config.eval_batch_size)
        by_index = {index: labels for index, _, labels in predictor.predict(shown)}
        maps[system] = [by_index[i] for i in range(_SHOWN)]
        speed = images_per_second(predictor, source)
        memory = training_memory(config)
        published = SYSTEMS[system].published
        rows.append(
            Row(
                system,
                tuple(results[system]),
                cost(config),
                speed,
                memory,
                published,
                tuple(in_time[system]),
            )
        )
    budget = next(iter(configs.values()))
    print_rows(rows, budget)
    write_rows(rows, folder, budget)
    draw(shown, maps, source, folder / "compare.png", errors=True)
    say(f"wrote compare.md, .csv and .png, of {', '.join(configs)}, in {folder}")


def _train(configs: Mapping[str, ConfigDict], seeds: int, folder: Path) -> dict[str, list[Result]]:
    """Train and score every system with every seed, unless that is done."""
    results: dict[str, list[Result]] = {system: [] for system in configs}
    for seed in range(seeds):
        for system, config in configs.items():
            config.seed = seed
            results[system].append(run_once(config, folder / f"{system}_seed{seed}", system))
    return results


def _for_equal_time(configs: Mapping[str, ConfigDict], folder: Path) -> dict[str, ConfigDict]:
    """Return the settings with the steps that each makes in the time of the first."""
    speeds = {system: training_speed(folder / f"{system}_seed0") for system in configs}
    first = next(iter(speeds.values()))
    changed = {}
    for system, config in configs.items():
        own = changed[system] = config.copy_and_resolve_references()
        own.num_steps = max(1, round(config.num_steps * speeds[system] / first))
        own.eval_every = own.num_steps
        own.optimizer.warmup_steps = min(own.optimizer.warmup_steps, own.num_steps // 2)
    return changed


def _predictor(workdir: Path, batch_size: int) -> Predictor:
    pretrained = models.load_pretrained(workdir, step="last")
    device_mesh = mesh.data_mesh(jax.local_devices())
    return Predictor(pretrained, batch_size=batch_size, mesh=device_mesh)
