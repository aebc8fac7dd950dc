"""Draw what several runs predict for the same images.

    gcn-jax analysis pictures --ckpt runs/a,runs/b --index 0 --num_images 4

Draws images of a split, from number --index on, the truth, and a row of predictions for each run.
The split is of the first run's data; all runs must have its classes.
"""

from pathlib import Path

from absl import flags

from gcn_jax import models
from gcn_jax.analysis.studies.prediction_picture import draw
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments, run_names
from gcn_jax.errors import UserError
from gcn_jax.terminal import say
from gcn_jax.training.run_data import open_run_data

FLAGS = flags.FlagValues()
flags.DEFINE_list("ckpt", [], "Workdirs of training runs.", flag_values=FLAGS)
flags.DEFINE_string("split", None, "By default that of validation.", flag_values=FLAGS)
flags.DEFINE_integer("index", 0, "The first image.", 0, flag_values=FLAGS)
flags.DEFINE_integer("num_images", 4, "How many images.", 1, flag_values=FLAGS)
flags.DEFINE_string("output", "pictures.png", "PNG file to write.", flag_values=FLAGS)
flags.DEFINE_bool("errors", False, "Let what is right be faint.", flag_values=FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Predict and draw."""
    expect_arguments(arguments, "", 0)
    if not FLAGS.ckpt:
        raise UserError("pictures needs --ckpt=DIR,DIR,..., the workdirs of runs")
    names = run_names(FLAGS.ckpt)
    source = open_run_data(FLAGS.ckpt[0], FLAGS.split)
    end = FLAGS.index + FLAGS.num_images
    if end > len(source):
        raise UserError(
            f"{source.name} has {len(source)} images, not {end}; lower --index or --num_images"
        )
    if FLAGS.errors and not source.is_labelled:
        raise UserError(f"{source.name} has no labels, so no errors are known; leave out --errors")
    samples = [source[i] for i in range(FLAGS.index, end)]
    maps = {}
    for name, path in zip(names, FLAGS.ckpt, strict=True):
        model, variables, info, _ = models.load_pretrained(path)
        if info.class_names != tuple(source.class_names):
            raise UserError(f"the model of {path} has other classes than {source.name}")
        maps[name] = [models.predict(model, variables, sample["image"]) for sample in samples]
    draw(samples, maps, source, Path(FLAGS.output), errors=FLAGS.errors)
    say(f"wrote {FLAGS.output}")
