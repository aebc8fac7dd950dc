"""Export a trained model to where it runs without us: StableHLO, ONNX, or a page for a browser.

    gcn-jax export --ckpt runs/quickstart --format stablehlo --output model.stablehlo

Images go in as they are, uint8 RGB (or of the run's channels), and class maps come out; names,
colours and version are in the file. What was written is run beside the model on images of the run's
validation split (or those of --images), and is only left where it is the model. docs/deploy.md says
how such files are used.

--format web writes a folder for any static host: a page that segments pictures in the browser, the
ONNX file, and onnxruntime-web, of which 31 MB are downloaded from the npm registry the first time.
"""

import shlex
import sys

import numpy as np
from absl import flags

from gcn_jax import models
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.data.image_files import ImageFiles, find_images
from gcn_jax.errors import UserError
from gcn_jax.export.images import COUNT, drawn_images, make_batches
from gcn_jax.export.onnx_file import require_onnx, write_onnx
from gcn_jax.export.stablehlo import PLATFORMS, write_stablehlo
from gcn_jax.export.target import OUTPUTS, make_target
from gcn_jax.export.web import check_images, fetch_runtime, write_web
from gcn_jax.hub import is_on_hub
from gcn_jax.terminal import say
from gcn_jax.workdir import Workdir

FLAGS = flags.FlagValues()
flags.DEFINE_string("ckpt", None, "Workdir of a training run.", required=True, flag_values=FLAGS)
flags.DEFINE_string(
    "step", "best", "Checkpoint: best, last, or the number of a step.", flag_values=FLAGS
)
flags.DEFINE_enum(
    "format", "stablehlo", ["stablehlo", "onnx", "web"], "What to write.", flag_values=FLAGS
)
flags.DEFINE_string(
    "output", None, "The file; of web the folder.", required=True, flag_values=FLAGS
)
flags.DEFINE_list(
    "output_kind",
    list(OUTPUTS),
    "What the file can return, the default first: labels, logits, or both; of web labels.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "images",
    [],
    "Files or folders of images to compare on; by default validation images of the run.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "size",
    [],
    "HEIGHT,WIDTH that all images of an ONNX file or of a page have; by default they have any.",
    flag_values=FLAGS,
)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Write the file, and a line for each of its outputs."""
    expect_arguments(arguments, "", 0)
    size = _size(FLAGS.size)
    if FLAGS.format != "stablehlo":
        require_onnx()
    elif size:
        raise UserError("--size is for --format onnx and web: a StableHLO file takes all sizes")
    outputs = tuple(FLAGS.output_kind)
    if FLAGS.format == "web":
        if FLAGS["output_kind"].present:
            raise UserError("--output_kind is not for --format web: its page needs labels alone")
        outputs = ("labels",)
        check_images(models.read_info(FLAGS.ckpt))
        fetch_runtime()  # before what takes long
    pretrained = models.load_pretrained(FLAGS.ckpt, step=FLAGS.step)
    origin = None if is_on_hub(FLAGS.ckpt) else Workdir(FLAGS.ckpt).read_origin()
    target = make_target(pretrained, outputs, origin)
    info = pretrained.info
    images, whose = _images(info)
    multiple = target.metadata["multiple"]
    batches = make_batches(images, multiple, info.mean, size, info.image_dtype)
    what = f"images of {size[0]} x {size[1]} pixels" if size else "images of any size"
    if FLAGS.format == "stablehlo":
        differences = write_stablehlo(target, FLAGS.output, batches)
        what += f" and number, {', '.join(PLATFORMS)}"
    elif FLAGS.format == "onnx":
        differences = write_onnx(target, FLAGS.output, batches, size)
        what += " and number"
    else:
        differences = write_web(target, FLAGS.output, batches, size)
        what += f"; look at it: python -m http.server -b 127.0.0.1 -d {shlex.quote(FLAGS.output)}"
    sizes = " and ".join(" x ".join(map(str, batch.shape[:3])) for batch in batches)
    say(f"compared on {whose}, {sizes} (N x H x W):")
    for difference in differences:
        say(f"  {difference}")
    say(f"{FLAGS.output}: step {pretrained.step}, for {what}")


def _size(words: list[str]) -> tuple[int, int] | None:
    """Return the height and the width of `--size`; None where it was not given."""
    if not words:
        return None
    numbers = [int(word) if word.isdecimal() else 0 for word in words]
    if len(numbers) != 2 or min(numbers) < 1:
        raise UserError(f"--size={','.join(words)} is no HEIGHT,WIDTH in pixels, such as 512,1024")
    return numbers[0], numbers[1]


def _images(info: models.ModelInfo) -> tuple[list[np.ndarray], str]:
    """Return images to compare on, and whose they are."""
    if FLAGS.images:
        found = find_images(FLAGS.images)
        files = ImageFiles([*found][:COUNT], info.bit_depth, info.channels)
        return [files[index]["image"] for index in range(len(files))], "the images given"
    from gcn_jax.training.run_data import open_run_data

    try:
        source = open_run_data(FLAGS.ckpt)
        count = min(COUNT, len(source))
        return [source[i]["image"] for i in range(count)], "validation images of the run"
    except UserError as error:
        print(f"no validation images: {error}; --images names others", file=sys.stderr)
        return drawn_images(info.channels), "drawn images"
