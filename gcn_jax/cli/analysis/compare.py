"""`python -m gcn_jax.analysis compare`: GCN and its rivals, trained under one equal budget."""

from collections.abc import Sequence
from pathlib import Path

import jax
from absl import flags

from gcn_jax import data, models
from gcn_jax import mesh as mesh_lib
from gcn_jax.analysis.studies.comparison import Row, print_rows, write_rows
from gcn_jax.analysis.studies.measure import images_per_second, training_memory
from gcn_jax.analysis.studies.prediction_picture import draw
from gcn_jax.analysis.studies.recipes import set_values
from gcn_jax.analysis.studies.runner import cost, run_once
from gcn_jax.analysis.studies.systems import DATA, SIZES, SYSTEMS, system_config
from gcn_jax.cli import process
from gcn_jax.cli.analysis.commands import parse_flags
from gcn_jax.errors import UserError, check_choice
from gcn_jax.inference import Predictor

_USAGE = """\
usage: python -m gcn_jax.analysis compare [--models gcn,fcn8s,...] [--data camvid|shapes|voc]
           [--size reduced|full] [--seeds N] [--output DIR] [--set KEY=VALUE ...]

Trains each system with the same recipe (steps, batch, crops, rate), from scratch, and writes
compare.md, .csv and .png of these systems to DIR/<data>_<size>, in place of those that are there.
What is finished is not trained again.

--size reduced is for a CPU; full is each system at its published size, but GCN on ResNet-101 as
its rivals (the paper's is on ResNet-152). Scores as published need pretrained networks, which
configs/fcn8s.py and so on train. Data that you have are found with --set data.manual_dir=DIR; a
longer budget is --set num_steps=N."""

#: Settings that are a system's or a seed's own.
_DECIDED = ("seed", "eval_every", "model.name")
#: Images in the picture.
_SHOWN = 4


def run(arguments: Sequence[str]) -> None:
    """Train, score, measure and draw the systems.

    Raises:
        UserError: A flag or a name is unknown, or the data is at fault.
    """
    values = flags.FlagValues()
    size = "reduced" if jax.default_backend() == "cpu" else "full"
    flags.DEFINE_list("models", list(SYSTEMS), "Which of them.", flag_values=values)
    flags.DEFINE_string("data", "camvid", "camvid, shapes or voc.", flag_values=values)
    flags.DEFINE_string("size", size, "reduced or full.", flag_values=values)
    flags.DEFINE_integer("seeds", 1, "How many times each is trained.", 1, flag_values=values)
    flags.DEFINE_string("output", "runs/compare", "Folder of the runs.", flag_values=values)
    flags.DEFINE_multi_string("set", [], "KEY=VALUE of the recipe.", flag_values=values)
    parse_flags(values, arguments, _USAGE)
    if not values["models"].value:
        raise UserError(f"--models is empty; name some of {', '.join(SYSTEMS)}")
    name, size, seeds = (values[flag].value for flag in ("data", "size", "seeds"))
    for flag, value, choices in (("--data", name, DATA), ("--size", size, SIZES)):
        check_choice(flag, value, choices)
    configs = {}
    for system in values["models"].value:
        config = system_config(system, name, size)
        configs[system] = set_values(config, values["set"].value, decided=_DECIDED)
        config.eval_every = config.num_steps
    process.keep_freed_memory()

    folder = Path(values["output"].value) / f"{name}_{size}"
    results = {system: [] for system in configs}
    for seed in range(seeds):
        for system, config in configs.items():
            config.seed = seed
            results[system].append(run_once(config, folder / f"{system}_seed{seed}", system))

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
        rows.append(Row(system, tuple(results[system]), cost(config), speed, memory, published))
    budget = next(iter(configs.values()))
    print_rows(rows, budget)
    write_rows(rows, folder, budget)
    draw(shown, maps, source, folder / "compare.png")
    print(f"wrote compare.md, .csv and .png, of {', '.join(configs)}, in {folder}")


def _predictor(workdir: Path, batch_size: int) -> Predictor:
    model, variables, info, _ = models.load_pretrained(workdir, step="last")
    mesh = mesh_lib.data_mesh(jax.local_devices())
    return Predictor(model, variables, info, batch_size=batch_size, mesh=mesh)
