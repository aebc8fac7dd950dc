"""Draw where two runs differ along the borders of objects, and how far from one.

    gcn-jax analysis borders --ckpt runs/gcn,runs/gcn_br --output borders.png

Three images are chosen by the share of their pixels within 7 px of a border that is right: where
the second run gains most over the first, where it loses most, and where the two differ least. Of
each there are the outlines of both against the truth, and the errors of each, coloured by their
distance from the border. Below stand the accuracy and the mIoU of all images against the width of
the trimap, which also go into a CSV file of the same name.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags

from gcn_jax import atomic, data, models
from gcn_jax.analysis.borders.differences import find_differences
from gcn_jax.analysis.borders.picture import draw, trimap_curves
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments, run_names
from gcn_jax.errors import UserError
from gcn_jax.evaluation.boundary import MAX_TRIMAP_WIDTH
from gcn_jax.inference import Predictor
from gcn_jax.terminal import say
from gcn_jax.training.run_data import open_run_data

FLAGS = flags.FlagValues()
flags.DEFINE_list("ckpt", [], "Workdirs of two training runs.", flag_values=FLAGS)
flags.DEFINE_string("split", None, "By default that of validation.", flag_values=FLAGS)
flags.DEFINE_string("output", "borders.png", "PNG file to write.", flag_values=FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Predict all images twice, choose some, and draw them."""
    expect_arguments(arguments, "", 0)
    if len(FLAGS.ckpt) != 2:
        raise UserError("borders needs --ckpt=DIR,DIR, the workdirs of two runs")
    path = Path(FLAGS.output)
    if path.suffix != ".png":  # the curves go into the same name with .csv
        raise UserError(f"--output={path}: it is a picture; name a file that ends in .png")
    first, second = run_names(FLAGS.ckpt)
    source = open_run_data(FLAGS.ckpt[0], FLAGS.split)
    if not source.is_labelled:
        raise UserError(f"{source.name} has no labels; borders are those of labels")
    predictors = [_predictor(path, source) for path in FLAGS.ckpt]
    found = find_differences(_maps(source, *predictors), len(source.class_names))
    examples = [source[chosen.index] for chosen in found.chosen]
    predictions = [(label[1], label[2]) for label in _maps(examples, *predictors)]
    atomic.write(path, draw(found, examples, predictions, (first, second)))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    curves = trimap_curves(found)
    writer.writerow(
        ["within_px", *(f"{kind} {name}" for kind in curves for name in (first, second))]
    )
    columns = [curve for pair in curves.values() for curve in pair]
    for width in range(MAX_TRIMAP_WIDTH):
        writer.writerow([width + 1, *(f"{column[width]:.6f}" for column in columns)])
    atomic.write(path.with_suffix(".csv"), table.getvalue().encode())
    for chosen in found.chosen:
        say(f"image {chosen.index}: {chosen.why}, {100 * chosen.gain:+.1f} points within 7 px")
    say(f"wrote {path} and {path.with_suffix('.csv')}")


def _predictor(path: str, source: "data.Source") -> Predictor:
    pretrained = models.load_pretrained(path)
    if pretrained.info.class_names != tuple(source.class_names):
        raise UserError(f"the model of {path} has other classes than {source.name}")
    return Predictor(pretrained)


def _maps(
    source: "data.Source | list[dict]", one: Predictor, other: Predictor
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield label, and both class maps, of each example in order."""
    pairs = zip(one.predict(source), other.predict(source), strict=True)
    for (_, example, first), (_, _, second) in pairs:
        yield example["label"], first, second
