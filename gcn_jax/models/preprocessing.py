"""From the bytes of an image to what a network is fed.

XLA compiles a function for every new shape, and photographs come in hundreds of sizes. So images
are padded, at the bottom and the right with the mean colour, to one of a few sizes, the buckets.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

#: Mean and standard deviation of ImageNet's images, (red, green, blue) in 0..255: the constants of
#: torchvision's models, times 255.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

#: Smallest bucket, and what all of them are multiples of.
BUCKET_MULTIPLE = 32
#: Buckets between one power of two and the next.
BUCKETS_PER_OCTAVE = 4


def normalize(images: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """Subtract the mean and divide by the standard deviation.

    Args:
        images: `[..., 3]` RGB in 0..255, uint8 or float; or of another number of channels.
        mean: float `[3]`, in 0..255.
        std: float `[3]`, in 0..255; ones for the paper's plain mean subtraction.

    Returns:
        float32 `[..., 3]`.
    """
    shape = (1,) * (images.ndim - 1) + (-1,)
    mean, std = jnp.reshape(jnp.asarray(mean), shape), jnp.reshape(jnp.asarray(std), shape)
    return (images.astype(jnp.float32) - mean) / std


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


def mean_color(mean: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the colour that normalisation takes to zero within half a level, uint8 [3]."""
    return np.rint(np.asarray(mean)).astype(np.uint8)


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
        arrays: At most `batch_size` arrays uint8 [H, W, ...], which share a bucket.
        batch_size: N; missing rows are nothing but padding.
        fill: What to pad with, a value of a pixel: the mean colour, or void.
        shape: Another (height, width) to pad to, no smaller than any of them.

    Returns:
        uint8 [N, bucket(H), bucket(W), ...]; padding is below and to the right.
    """
    shape = bucket_shape(arrays[0]) if shape is None else shape
    stacked = np.empty((batch_size, *shape, *arrays[0].shape[2:]), np.uint8)
    stacked[...] = fill
    for row, array in zip(stacked, arrays, strict=False):
        row[: array.shape[0], : array.shape[1]] = array
    return stacked
