"""Segment images of any size: an indexed PNG and an overlay with a legend for each.

    gcn-jax predict --ckpt runs/quickstart photo.jpg folder/ --output predictions

A folder stands for the images that lie in it.
"""

from pathlib import Path

from absl import flags
from PIL import Image

from gcn_jax import atomic, models
from gcn_jax.cli import process
from gcn_jax.cli.inference_flags import define_inference_flags
from gcn_jax.data.image_files import ImageFiles, find_images, output_names
from gcn_jax.errors import UserError
from gcn_jax.inference import Predictor
from gcn_jax.terminal import say

FLAGS = flags.FlagValues()
flags.DEFINE_string("ckpt", None, "Workdir of a training run.", required=True, flag_values=FLAGS)
flags.DEFINE_string("output", "predictions", "Folder for the results.", flag_values=FLAGS)
_INFERENCE = define_inference_flags(FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Write the class map of each image as an indexed PNG, and an overlay with a legend."""
    from gcn_jax.report import pictures  # not sooner: --help needs no plotting library

    if not arguments:
        raise UserError("no image; give files or folders: predict --ckpt DIR PATH...")
    inference = _INFERENCE()
    paths = find_images(arguments)
    outputs = [
        (folder / f"{name}.png", folder / f"{name}_overlay.png")
        for folder, name in ((Path(FLAGS.output), name) for name in output_names(paths))
    ]
    _check_outputs(paths, outputs)
    predictor = Predictor(models.load_pretrained(FLAGS.ckpt), inference=inference)
    info = predictor.info
    palette = pictures.full_palette(info.palette)
    for index, sample, prediction in predictor.predict(ImageFiles(paths)):
        picture = pictures.overlay_with_legend(
            sample["image"], prediction, palette, info.class_names
        )
        label_file, overlay_file = outputs[index]
        atomic.write(label_file, pictures.encode(pictures.indexed(prediction, palette)))
        atomic.write(overlay_file, pictures.encode(Image.fromarray(picture)))
        say(f"{paths[index]} -> {label_file}, {overlay_file}")
    say(f"{len(paths)} images, compiled shapes: {len(predictor.compiled_shapes)}")


def _check_outputs(paths: list[Path], outputs: list[tuple[Path, Path]]) -> None:
    inputs = {path.resolve() for path in paths}
    for output in (file for files in outputs for file in files):
        if output.resolve() in inputs:
            raise UserError(
                f"{output} is an image to predict and would be overwritten; name another --output"
            )
