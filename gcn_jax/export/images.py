"""The images on which an export is compared with its model."""

from collections.abc import Sequence

import numpy as np

from gcn_jax.data.channels import finer
from gcn_jax.data.shapes.world import render
from gcn_jax.models.preprocessing import mean_color

#: At most so many images, each cut to so many pixels a side: enough to see a difference.
COUNT, LARGEST = 3, 512


def drawn_images(channels: int = 3) -> list[np.ndarray]:
    """Draw images of the data set `shapes`, where none are at hand.

    Args:
        channels: C; red, green, blue, red, ...

    Returns:
        Arrays uint8 `[128, 128, C]`.
    """
    numbers = np.arange(channels) % 3
    return [render(0, index)["image"][..., numbers] for index in range(COUNT)]


def common_size(images: Sequence[np.ndarray], multiple: int) -> tuple[int, int]:
    """Return the height and the width of the largest image, rounded up, at most `LARGEST`.

    Args:
        images: Arrays `[H, W, C]`, the first `COUNT` of which are used.
        multiple: Sizes are multiples of it.
    """
    largest = (max(image.shape[axis] for image in images[:COUNT]) for axis in (0, 1))
    height, width = (-(-min(LARGEST, side) // multiple) * multiple for side in largest)
    return height, width


def make_batches(
    images: Sequence[np.ndarray],
    multiple: int,
    mean: Sequence[float],
    size: tuple[int, int] | None = None,
    dtype: str = "uint8",
) -> list[np.ndarray]:
    """Make two batches that differ in the number of images and, if they may, in their size.

    Args:
        images: Arrays uint8 or `dtype` `[H, W, C]`, the first `COUNT` of which are used.
        multiple: Sizes become multiples of it.
        mean: The colour that is padded with.
        size: The height and width that a file has fixed; None where both are free.
        dtype: That of the batches: "uint8", or "uint16" in 0..65535.

    Returns:
        Arrays `[N, H, W, C]`: all images, and the lower right part of the first; of a fixed
        size all images, and with them the first one mirrored.
    """
    images = [finer(image) if dtype == "uint16" else image for image in images[:COUNT]]
    height, width = size or common_size(images, multiple)
    full = np.full((len(images), height, width, len(mean)), mean_color(mean, dtype))
    for row, image in zip(full, images, strict=True):
        cut = image[:height, :width]
        row[: cut.shape[0], : cut.shape[1]] = cut
    if size:
        return [full, np.concatenate([full, full[:1, :, ::-1]])]
    height, width = (-(-n // (2 * multiple)) * multiple for n in full.shape[1:3])
    return [full, full[:1, -height:, -width:]]
