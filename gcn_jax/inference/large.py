"""Images that the network does not see as a whole: which they are, and the windows it sees of them.

At every scale the network sees windows of one size; in the image they are larger where the scale is
below 1. No scaled copy of the image is made.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from gcn_jax.errors import UserError
from gcn_jax.inference.bands import STRIP_BYTES, View
from gcn_jax.inference.bands import class_map as of_views
from gcn_jax.inference.settings import Inference, Shape
from gcn_jax.models.preprocessing import bucket

#: Pixels of an image, padded to its bucket, above which the network sees windows of it: 2,896 x
#: 2,896. The window and its overlap where none is given.
WHOLE_PIXELS = 2**23
LARGE_WINDOW, LARGE_WINDOW_OVERLAP = (1_024, 1_024), 1 / 3
#: At smaller scales a window is too much of the image for the memory that it takes.
SMALLEST_SCALE = 0.5
#: Bytes of a pixel while its file is decoded (4 of Pillow's, 3 of ours), and of it and its class.
_BYTES_DECODING, _BYTES_KEPT = 7, 4
#: Copies of a window's probabilities that there are at a time, on the host and in the network.
_COPIES = 4


class Seen(NamedTuple):
    """The windows of an image at a scale.

    Attributes:
        scale: The factor of the image's size.
        window: (height, width) of the windows in the image.
        canvas: (height, width) that the network sees of each.
    """

    scale: float
    window: Shape
    canvas: Shape


class Plan(NamedTuple):
    """The windows of an image at all scales.

    Attributes:
        views: Those of each scale.
        overlap: The least share of a window that its neighbour covers too, in [0, 1).
    """

    views: tuple[Seen, ...]
    overlap: float


def is_large(size: Shape) -> bool:
    """Return whether an image of a (height, width) is predicted in windows."""
    return bucket(size[0]) * bucket(size[1]) > WHOLE_PIXELS


def plan(size: Shape, how: Inference) -> Plan:
    """Choose the windows of an image.

    Args:
        size: Its (height, width).
        how: Scales and windows; without a window it is `LARGE_WINDOW`.

    Raises:
        UserError: It is to be refined by a CRF, scaled below `SMALLEST_SCALE`, or padded, resized
            or cut into windows as a protocol does it.
    """
    if any((how.stride, how.longer_side, how.shorter_side, how.pad_to)):
        raise UserError(
            f"an image of {size[1]} x {size[0]} pixels is predicted in windows, as all above "
            f"{WHOLE_PIXELS} pixels: not by a protocol, nor with stride, a side or pad_to; "
            "name scales, flip and window instead"
        )
    if how.crf is not None or min(how.scales) < SMALLEST_SCALE:
        raise UserError(
            f"an image of {size[1]} x {size[0]} pixels is predicted in windows, as all above "
            f"{WHOLE_PIXELS} pixels: not with a CRF, nor at scales below {SMALLEST_SCALE}"
        )
    views = []
    for scale in how.scales:
        canvas = how.window_size or tuple(
            min(most, bucket(math.ceil(length * scale)))
            for most, length in zip(LARGE_WINDOW, size, strict=True)
        )
        height, width = (max(1, math.floor(length / scale)) for length in canvas)
        views.append(Seen(scale, (height, width), (canvas[0], canvas[1])))
    return Plan(tuple(views), how.overlap if how.window else LARGE_WINDOW_OVERLAP)


def class_map(
    image: np.ndarray,
    plan: Plan,
    probabilities: Callable[[np.ndarray, Seen], np.ndarray],
    num_classes: int,
    wanted: np.ndarray | None = None,
) -> np.ndarray:
    """Predict an image as planned; the scales' means are averaged.

    Args:
        image: uint8 `[H, W, 3]`.
        plan: Its windows.
        probabilities: Maps a window, uint8 `[h, w, 3]`, and how it is seen to float32 `[h, w, C]`.
        num_classes: C.
        wanted: Floats `[H, W, C]` that get the averages; None where nobody wants them.

    Returns:
        `[H, W]`, uint8 for up to 256 classes, else int32.
    """

    def view(seen: Seen) -> View:
        return View(seen.window, lambda window: probabilities(window, seen))

    views = list(map(view, plan.views))
    return of_views(image, views, plan.overlap, num_classes, probabilities=wanted)


def needed_bytes(size: Shape, plan: Plan, num_classes: int) -> int:
    """Estimate the memory that an image takes, without what the network itself needs.

    Args:
        size: Its (height, width).
        plan: Its windows.
        num_classes: C.
    """
    pixels = size[0] * size[1]
    window = max(seen.window[0] * seen.window[1] for seen in plan.views) * 4 * num_classes
    band = max(seen.window[0] for seen in plan.views) * size[1] * 4 * num_classes
    predicting = _BYTES_KEPT * pixels + min(band, STRIP_BYTES) + _COPIES * window
    return max(_BYTES_DECODING * pixels, predicting)


def check_memory(
    sizes: Mapping[Path, Shape] | Mapping[str, Shape], how: Inference, num_classes: int
) -> str | None:
    """Estimate the memory of images before the first of them is read.

    Args:
        sizes: The (height, width) of each, by its file or its id.
        how: How they are predicted.
        num_classes: C.

    Returns:
        A line about those that are large; None where there are none.

    Raises:
        UserError: One takes more than is free, or cannot be predicted so (see `plan`).
    """
    needed = [
        (needed_bytes(size, plan(size, how), num_classes), name, size)
        for name, size in sizes.items()
        if is_large(size)
    ]
    if not needed:
        return None
    most, path, (height, width) = max(needed, key=lambda one: one[0])
    free = psutil.virtual_memory().available
    about = f"{path} has {width} x {height} pixels, which take about {most / 2**30:.1f} GiB"
    if most > free:
        raise UserError(f"{about}, and {free / 2**30:.1f} GiB are free; cut the image into parts")
    return f"above {WHOLE_PIXELS} pixels, in windows: {len(needed)}; {about} besides the network"
