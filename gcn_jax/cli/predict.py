"""Segment images and videos of any size: class maps, and overlays to look at.

    gcn-jax predict --ckpt runs/quickstart photo.jpg folder/ --output predictions
    gcn-jax predict --ckpt runs/quickstart drive.mp4 rtsp://camera/stream

An image gives an indexed PNG and an overlay with a legend, with --probabilities also an array; a
video NAME.mkv, whose grey values are the classes, without losses, and NAME_overlay.mp4.
A folder stands for the images that lie in it; with --recursive also for those in its folders, which
the results keep. Images above 8 megapixels are predicted in windows, of any size, or, with
--split_height, whole by all devices of this host together; videos frame by frame, of any length.
Ctrl-C ends the stream of a camera (an address, or /dev/video0). Files that cannot be read are named
at the end, with exit code 1; what a video has before its damage is kept.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jax
from absl import flags
from jax.sharding import Mesh

from gcn_jax import models
from gcn_jax.cli import process
from gcn_jax.cli.inference_flags import define_inference_flags
from gcn_jax.data.image_files import ImageFiles, find_images, image_size, output_names
from gcn_jax.data.problems import Problem
from gcn_jax.data.video import is_stream, is_video, stream_name
from gcn_jax.errors import UserError
from gcn_jax.inference import Predictor
from gcn_jax.inference.large import check_memory
from gcn_jax.mesh import data_mesh
from gcn_jax.terminal import ProgressBar, printable, say

FLAGS = flags.FlagValues()
flags.DEFINE_string("ckpt", None, "Workdir of a training run.", required=True, flag_values=FLAGS)
flags.DEFINE_string("output", "predictions", "Folder for the results.", flag_values=FLAGS)
flags.DEFINE_bool(
    "probabilities",
    False,
    "Write NAME_probabilities.npy of each image, too: float16 [H, W, C] in 0..1.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("recursive", False, "Enter the folders in a folder.", flag_values=FLAGS)
flags.DEFINE_bool(
    "split_height",
    False,
    "Devices share the rows of each image, which the network sees whole, however large it is.",
    flag_values=FLAGS,
)
_INFERENCE = define_inference_flags(FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Write the results of each image and each video."""
    from gcn_jax.report import predictions  # not sooner: --help needs none of it

    if not arguments:
        raise UserError("no image; give files or folders: predict --ckpt DIR PATH...")
    inference = _INFERENCE()
    streams = [word for word in arguments if is_stream(word)]
    paths = [word for word in arguments if word not in streams]
    found = find_images(paths, recursive=FLAGS.recursive)
    videos: list[str | Path] = [*streams, *filter(is_video, found)]
    if FLAGS.probabilities and videos:
        raise UserError(f"{_shown(videos[0])}: --probabilities is for images; leave it out")
    bases = _bases(found, streams)
    _check_outputs(found, bases)
    predictor = Predictor(
        models.load_pretrained(FLAGS.ckpt),
        inference=inference,
        mesh=_mesh_of_rows() if FLAGS.split_height else None,
    )
    info = predictor.info
    if videos and info.channels not in (1, 3):
        raise UserError(
            f"{_shown(videos[0])}: videos are RGB or grey, and the network takes images of "
            f"{info.channels} channels"
        )
    sizes = {path: size for path in found if (size := image_size(path))}
    in_windows = {} if FLAGS.split_height else sizes
    if about_large := check_memory(in_windows, inference, len(info.class_names)):
        say(about_large)
    bad, done = [], Counter[str]()
    for source, base in bases.items():
        name = _shown(source)
        try:
            if source in videos:
                with ProgressBar(name) as bar:
                    files, frames, damage = predictions.predict_video(
                        predictor, source, base, bar.advance
                    )
                name += f", {frames} frame{'s' * (frames != 1)}"
                if damage:
                    bad.append(damage)
            else:
                example = ImageFiles([Path(source)], info.bit_depth, info.channels)[0]
                files = predictions.predict_image(
                    predictor, example, base, probabilities=FLAGS.probabilities
                )
        except Problem as problem:  # the other files are none the worse for it
            bad.append(problem)
            continue
        done["video" if source in videos else "image"] += 1
        say(f"{name} -> {', '.join(map(str, files))}")
    counts = [f"{count} {kind}{'s' * (count != 1)}" for kind, count in done.items()]
    say(f"{', '.join(counts or ['0 images'])}, compiled shapes: {len(predictor.compiled_shapes)}")
    if bad:
        lines = [f"{len(bad)} of {len(bases)} files cannot be read:", *map(str, bad)]
        print(*map(printable, lines), sep="\n", file=sys.stderr)
        sys.exit(1)


def _mesh_of_rows() -> Mesh:
    """Return a mesh whose devices, all of this host, share the rows of an image."""
    devices = jax.local_devices()
    if len(devices) == 1:
        raise UserError("--split_height is for several devices, and there is one; leave it out")
    return data_mesh(devices, height=len(devices))


def _shown(source: str | Path) -> str:
    """Return the name of a source as it may be printed: without the password of a stream."""
    return stream_name(source) if isinstance(source, str) else str(source)


def _bases(found: Mapping[Path, Path], streams: Sequence[str]) -> dict[str | Path, Path]:
    """Return the path of each source's results without what follows their name."""
    bases: dict[str | Path, Path] = {}
    for below in dict.fromkeys(found.values()):
        paths = [path for path in found if found[path] == below]
        for path, name in zip(paths, output_names(paths), strict=True):
            bases[path] = Path(FLAGS.output) / below / name
    for stream in streams:
        bases[stream] = Path(FLAGS.output) / stream_name(stream)
    return bases


def _check_outputs(found: Iterable[Path], bases: Mapping[str | Path, Path]) -> None:
    """Refuse to overwrite what is to be predicted, and to write two results to one file."""
    from gcn_jax.report import predictions

    inputs = {path.resolve() for path in found}
    written: set[Path] = set()
    for source, base in bases.items():
        files = predictions.image_files(base, probabilities=FLAGS.probabilities)
        if isinstance(source, str) or is_video(source):
            files = predictions.video_files(base)
        for output in files:
            if output.resolve() in inputs:
                raise UserError(
                    f"{output} is a file to predict and would be overwritten; name another --output"
                )
            if output in written:
                raise UserError(f"{output} would be written twice; predict one at a time")
            written.add(output)
