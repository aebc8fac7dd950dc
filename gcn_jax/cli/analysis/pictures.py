"""`python -m gcn_jax.analysis pictures`: what several runs predict for the same images."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from gcn_jax import models, report
from gcn_jax.analysis.studies.prediction_picture import draw
from gcn_jax.cli.analysis.commands import parse_flags, run_names
from gcn_jax.errors import UserError

_USAGE = """\
usage: python -m gcn_jax.analysis pictures --ckpt DIR,DIR,... [--split val]
           [--index 0] [--num_images 4] [--output pictures.png]

Draws images of a split, from number --index on, the truth, and a row of predictions for each run.
The split is of the first run's data; all runs must have its classes."""


def run(arguments: Sequence[str]) -> None:
    """Predict and draw.

    Raises:
        UserError: A flag is unknown, a run or an image is not there, or classes differ.
    """
    values = flags.FlagValues()
    flags.DEFINE_list("ckpt", [], "Workdirs of training runs.", flag_values=values)
    flags.DEFINE_string("split", None, "By default that of validation.", flag_values=values)
    flags.DEFINE_integer("index", 0, "The first image.", 0, flag_values=values)
    flags.DEFINE_integer("num_images", 4, "How many images.", 1, flag_values=values)
    flags.DEFINE_string("output", "pictures.png", "PNG file to write.", flag_values=values)
    parse_flags(values, arguments, _USAGE)
    if not values.ckpt:
        raise UserError("pictures needs --ckpt=DIR,DIR,..., the workdirs of runs")
    names = run_names(values.ckpt)
    source = report.open_split(values.ckpt[0], values.split)
    end = values.index + values.num_images
    if end > len(source):
        raise UserError(
            f"{source.name} has {len(source)} images, not {end}; lower --index or --num_images"
        )
    samples = [source[i] for i in range(values.index, end)]
    maps = {}
    for name, path in zip(names, values.ckpt, strict=True):
        model, variables, info, _ = models.load_pretrained(path)
        if info.class_names != tuple(source.class_names):
            raise UserError(f"the model of {path} has other classes than {source.name}")
        maps[name] = [models.predict(model, variables, sample["image"]) for sample in samples]
    draw(samples, maps, source, Path(values.output))
    print(f"wrote {values.output}")
