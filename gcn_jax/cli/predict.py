"""Segment images of any size: an indexed PNG and an overlay with a legend for each.

    gcn-jax predict --ckpt runs/quickstart photo.jpg folder/ --output predictions

A folder stands for the images that lie in it; with --recursive also for those in its folders, which
the results keep. Images above 8 megapixels are predicted in windows, of any size. Files that cannot
be read are named at the end, with exit code 1.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from absl import flags

from gcn_jax import models
from gcn_jax.cli import process
from gcn_jax.cli.inference_flags import define_inference_flags
from gcn_jax.data.image_files import ImageFiles, find_images, image_size, output_names
from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError
from gcn_jax.inference import Predictor
from gcn_jax.inference.large import check_memory
from gcn_jax.terminal import printable, say

FLAGS = flags.FlagValues()
flags.DEFINE_string("ckpt", None, "Workdir of a training run.", required=True, flag_values=FLAGS)
flags.DEFINE_string("output", "predictions", "Folder for the results.", flag_values=FLAGS)
flags.DEFINE_bool("recursive", False, "Enter the folders in a folder.", flag_values=FLAGS)
_INFERENCE = define_inference_flags(FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Write the class map of each image as an indexed PNG, and an overlay with a legend."""
    from gcn_jax.report import pictures  # not sooner: --help needs no plotting library

    if not arguments:
        raise UserError("no image; give files or folders: predict --ckpt DIR PATH...")
    inference = _INFERENCE()
    outputs = _outputs(find_images(arguments, recursive=FLAGS.recursive), Path(FLAGS.output))
    predictor = Predictor(models.load_pretrained(FLAGS.ckpt), inference=inference)
    info = predictor.info
    palette = pictures.full_palette(info.palette)
    sizes = {path: size for path in outputs if (size := image_size(path))}
    if about_large := check_memory(sizes, inference, len(info.class_names)):
        say(about_large)
    bad = []
    for path, (label_file, overlay_file) in outputs.items():
        try:
            ((_, example, prediction),) = predictor.predict(ImageFiles([path], info.bit_depth))
        except Problem as problem:  # the other files are none the worse for it
            bad.append(problem)
            continue
        picture = pictures.overlay_with_legend(
            example["image"], prediction, palette, info.class_names
        )
        pictures.write(label_file, pictures.indexed(prediction, palette))
        pictures.write(overlay_file, picture)
        say(f"{path} -> {label_file}, {overlay_file}")
    done = len(outputs) - len(bad)
    say(f"{done} image{'s' * (done != 1)}, compiled shapes: {len(predictor.compiled_shapes)}")
    if bad:
        lines = [f"{len(bad)} of {len(outputs)} files cannot be read:", *map(str, bad)]
        print(*map(printable, lines), sep="\n", file=sys.stderr)
        sys.exit(1)


def _outputs(found: Mapping[Path, Path], folder: Path) -> dict[Path, tuple[Path, Path]]:
    """Return the two files that are written for each image; none of them is an image to predict."""
    outputs = {}
    for below in dict.fromkeys(found.values()):
        paths = [path for path in found if found[path] == below]
        for path, name in zip(paths, output_names(paths), strict=True):
            place = folder / below
            outputs[path] = place / f"{name}.png", place / f"{name}_overlay.png"
    inputs = {path.resolve() for path in found}
    for output in (file for files in outputs.values() for file in files):
        if output.resolve() in inputs:
            raise UserError(
                f"{output} is an image to predict and would be overwritten; name another --output"
            )
    return outputs
