"""The results of a prediction as files: of an image, and of a video."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gcn_jax.data.images import grey_of
from gcn_jax.data.problems import Problem
from gcn_jax.data.video import open_video
from gcn_jax.inference import Predictor
from gcn_jax.inference.batches import Example
from gcn_jax.inference.probability_file import probability_file
from gcn_jax.report import pictures, video

#: Is told how many frames are done, and of how many; None where nobody knows.
Progress = Callable[[int, int | None], None]


def image_files(base: Path, *, probabilities: bool = False) -> list[Path]:
    """Return the files that `predict_image` writes.

    Args:
        base: Their path without what follows their name.
        probabilities: Whether probabilities are among them.
    """
    endings = [".png", "_overlay.png"] + ["_probabilities.npy"] * probabilities
    return [base.with_name(base.name + ending) for ending in endings]


def video_files(base: Path) -> list[Path]:
    """Return the files that `predict_video` writes, as `image_files` does."""
    return [base.with_name(base.name + ending) for ending in (".mkv", "_overlay.mp4")]


def predict_image(
    predictor: Predictor, example: Example, base: Path, *, probabilities: bool = False
) -> list[Path]:
    """Write the class map of an image as an indexed PNG, and an overlay with a legend.

    Args:
        predictor: The model.
        example: {"image": uint8 or uint16 `[H, W, C]`}.
        base: The path of the files without what follows their name.
        probabilities: Whether the probabilities are written too, see `probability_file`.

    Returns:
        The files.

    Raises:
        UserError: One cannot be written.
    """
    image, info = example["image"], predictor.info
    files = image_files(base, probabilities=probabilities)
    if probabilities:
        shape = (*image.shape[:2], len(info.class_names))
        with probability_file(files[2], shape) as array:
            labels = predictor.predict_probabilities(image, array)
    else:
        ((_, _, labels),) = predictor.predict([example])
    palette = pictures.full_palette(info.palette)
    pictures.write(files[0], pictures.indexed(labels, palette))
    overlay = pictures.overlay_with_legend(image, labels, palette, info.class_names)
    pictures.write(files[1], overlay)
    return files


def predict_video(
    predictor: Predictor, source: str | Path, base: Path, progress: Progress
) -> tuple[list[Path], int, Problem | None]:
    """Write the class maps of a video as one without losses, and an overlay; a frame at a time.

    Both have the size, the rate and the times of the video. What comes before damage is kept.

    Args:
        predictor: The model, of images of RGB or of one channel, which is the grey of a frame.
        source: What `open_video` takes; a stream ends with `KeyboardInterrupt`.
        base: The path of the files without what follows their name.
        progress: Is told after each frame.

    Returns:
        The files, how many frames they have, and what ended them before their end, if anything.

    Raises:
        Problem: It has no frame that can be read.
        UserError: A file cannot be written, or PyAV is not installed.
    """
    palette = pictures.full_palette(predictor.info.palette)
    files = video_files(base)
    done, problem = 0, None
    with open_video(source) as opened, contextlib.ExitStack() as stack:
        try:
            for frame in opened.frames():
                image = grey_of(frame.image) if predictor.info.channels == 1 else frame.image
                ((_, _, labels),) = predictor.predict([{"image": image}])
                if not done:
                    how = (labels.shape, opened.rate, opened.time_base)
                    add_labels = stack.enter_context(video.labels_to(files[0], *how))
                    add_picture = stack.enter_context(video.pictures_to(files[1], *how))
                add_labels(labels.astype(np.uint8), frame.time)
                add_picture(pictures.overlay(frame.image, labels, palette), frame.time)
                done += 1
                progress(done, opened.num_frames)
        except Problem as error:
            if not done:
                raise
            problem = error
        except KeyboardInterrupt:
            if not (opened.is_endless and done):
                raise
    return files, done, problem
