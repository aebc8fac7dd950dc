"""From the bytes of an image to what a network is fed.

XLA compiles a function for every new shape, and photographs come in hundreds of sizes. So images
are padded, at the bottom and the right with the mean colour, to one of a few sizes, the buckets.

Images are uint8, or uint16, whose 0..65535 is the brightness of 0..255 in finer steps: every
colour, mean and standard deviation is in units of 0..255.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

#: Mean and standard deviation of ImageNet's images, (red, green, blue) in 0..255: the constants of
#: torchvision's models, times 255.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

#: Steps of uint16 in one of uint8: 65535 / 255.
FINER = 257

#: Smallest bucket, and what all of them are multiples of.
BUCKET_MULTIPLE = 32
#: Buckets between one power of two and the next.
BUCKETS_PER_OCTAVE = 4


def normalize(images: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """Subtract the mean and divide by the standard deviation.

    Args:
        images: `[..., 3]` RGB in 0..255, uint8 or float, or in 0..65535, uint16; or of another
            number of channels.
        mean: float `[3]`, in 0..255.
        std: float `[3]`, in 0..255; ones for the paper's plain mean subtraction.

    Returns:
        float32 `[..., 3]`.
    """
    shape = (1,) * (images.ndim - 1) + (-1,)
    mean, std = jnp.reshape(jnp.asarray(mean), shape), jnp.reshape(jnp.asarray(std), shape)
    return (in_levels(images) - mean) / std


def in_levels(images: jax.Array) -> jax.Array:
    """Return the values of images in 0..255, float32.

    Args:
        images: uint8 or float in 0..255, or uint16 in 0..65535, of any shape.
    """
    values = images.astype(jnp.float32)
    return values / FINER if images.dtype == jnp.uint16 else values


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Show an image of any channels: the first three as RGB, of fewer the first as grey.

    Args:
        image: uint8 or uint16 `[..., C]`.

    Returns:
        uint8 `[..., 3]`.
    """
    image = image[..., :3] if image.shape[-1] >= 3 else image[..., :1].repeat(3, axis=-1)
    if image.dtype == np.uint16:
        image = np.rint(image / np.float32(FINER)).astype(np.uint8)
    return image


def bucket(size: int) -> int:
    """Round a height or a width up to a size that is worth compiling for.

    Four sizes an octave, multiples of 32: 32, 64, ..., 256, 320, 384, 448, 512, 640, 768, ... Above
    128 pixels less than a quarter is padded.

    >>> [bucket(size) for size in (180, 360, 375, 480, 500, 512)]
    `[192, 384, 384, 512, 512, 512]`
    """
    step = _step(size)
    return -(-size // step) * step


def smallest_in_bucket(size: int) -> int:
    """Return the smallest height or width that `bucket` rounds up to a size.

    >>> smallest_in_bucket(512)
    449
    """
    return size - _step(size) + 1


def _step(size: int) -> int:
    octave = 2 ** (size - 1).bit_length() // 2  # the power of two below `size`
    return max(octave // BUCKETS_PER_OCTAVE, BUCKET_MULTIPLE)


def mean_color(mean: Sequence[float] | np.ndarray, dtype: DTypeLike = np.uint8) -> np.ndarray:
    """Return the colour that normalisation takes to zero within half a level of 0..255.

    Args:
        mean: The mean of each channel, in 0..255.
        dtype: That of images, uint8 or uint16.
    """
    scale = FINER if np.dtype(dtype) == np.uint16 else 1
    return (np.rint(np.asarray(mean)) * scale).astype(dtype)


def bucket_shape(array: np.ndarray) -> tuple[int, int]:
    """The bucket of an image or of labels, (height, width)."""
    return bucket(array.shape[0]), bucket(array.shape[1])


def stack_padded(
    arrays: Sequence[np.ndarray],
    batch_size: int,
    fill: np.ndarray | int,
    shape: tuple[int, int] | None = None,
) -> np.ndarray:
    """Pad images or labels of one bucket to its size and stack them to a full batch.

    Args:
        arrays: At most `batch_size` arrays uint8 or uint16 [H, W, ...], all of one type, which
            share a bucket.
        batch_size: N; missing rows are nothing but padding.
        fill: What to pad with, a value of a pixel: the mean colour, or void.
        shape: Another (height, width) to pad to, no smaller than any of them.

    Returns:
        [N, bucket(H), bucket(W), ...] of that type; padding is below and to the right.
    """
    shape = bucket_shape(arrays[0]) if shape is None else shape
    dtype = np.uint16 if arrays[0].dtype == np.uint16 else np.uint8
    stacked = np.empty((batch_size, *shape, *arrays[0].shape[2:]), dtype)
    stacked[...] = fill
    for row, array in zip(stacked, arrays, strict=False):
        row[: array.shape[0], : array.shape[1]] = array
    return stacked
