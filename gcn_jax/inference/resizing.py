"""Images of different sizes in one array: resize, mirror and pad each within its own borders.

The images of a bucket lie in the top left corners of one array `[N, H, W, K]`; `sizes`, int32
`[N, 2]`, has the (height, width) of each. What these functions give for one image is what they
would give for it alone: the padding never mixes with it. They read pixels by their index, with no
product of matrices: their precision is the same on every accelerator, and with the batch split over
devices nothing is sent between them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

#: An array of NumPy or of JAX.
Sizes = Any


def resize(
    arrays: jax.Array,
    from_sizes: jax.Array,
    to_sizes: jax.Array,
    shape: tuple[int, int],
    mirror: bool | jax.Array = False,
) -> jax.Array:
    """Resize each image bilinearly, pixel centres at halves, the border repeated, no antialiasing.

    The same as PyTorch's `interpolate(..., mode="bilinear", align_corners=False)` of each image
    without its padding.

    Args:
        arrays: float32 `[N, H, W, K]`.
        from_sizes: int32 `[N, 2]`, the (height, width) of each image, 1 or more.
        to_sizes: int32 `[N, 2]`, what they become; at most `shape`.
        shape: (H', W') of the result.
        mirror: Whether each image is mirrored from left to right too.

    Returns:
        float32 `[N, H', W', K]`; what it has beyond `to_sizes` means nothing.
    """
    rows, columns = (jnp.arange(length)[None] for length in shape)
    columns = jnp.where(mirror, to_sizes[:, 1:] - 1 - columns, columns)
    for axis, targets in enumerate((rows, columns)):
        arrays = _interpolate(arrays, targets, from_sizes[:, axis], to_sizes[:, axis], axis + 1)
    return arrays


def _interpolate(arrays, targets, from_lengths, to_lengths, axis):
    """Read along an axis what the pixels `targets` [N or 1, L] of the resized images are."""
    last = from_lengths[:, None] - 1
    place = (targets + 0.5) * (from_lengths / to_lengths)[:, None] - 0.5
    place = jnp.clip(place, 0, last)
    before = place.astype(jnp.int32)
    after = jnp.minimum(before + 1, last)
    weight = jnp.expand_dims(place - before, (2, 3) if axis == 1 else (1, 3))
    return (1 - weight) * _take(arrays, before, axis) + weight * _take(arrays, after, axis)


def sizes_by_side(
    sizes: Sizes, longer: int | None, shorter: int | None, multiple: int = 1
) -> Sizes:
    """Return the sizes of images whose longer or shorter side is resized, in exact integers.

    Args:
        sizes: int32 `[N, 2]` of NumPy or JAX, the (height, width) of each image.
        longer: Pixels of the longer side; the other is rounded to the nearest, halves up.
        shorter: Pixels of the shorter side; the other is rounded down. With `longer`, the smaller
            of the two sizes is taken, and rounded to the nearest.
        multiple: What divides both then, each rounded up.

    Returns:
        int32 `[N, 2]`, 1 or more.
    """
    least, most = sizes.min(axis=1, keepdims=True), sizes.max(axis=1, keepdims=True)
    if longer is None:
        found = shorter * sizes // least
    else:
        found = (2 * longer * sizes + most) // (2 * most)
        if shorter is not None:
            found = found.clip(max=(2 * shorter * sizes + least) // (2 * least))
    return -(-found.clip(1) // multiple) * multiple


def fill_outside(arrays: jax.Array, sizes: jax.Array, value: jax.Array | np.ndarray) -> jax.Array:
    """Set every pixel beyond an image's size to a value.

    Args:
        arrays: `[N, H, W, K]`.
        sizes: int32 `[N, 2]`, the (height, width) of each image.
        value: `[K]`.

    Returns:
        `[N, H, W, K]`, of the dtype of the arrays.
    """
    rows = jnp.arange(arrays.shape[1])[None] < sizes[:, :1]
    columns = jnp.arange(arrays.shape[2])[None] < sizes[:, 1:]
    inside = rows[:, :, None, None] & columns[:, None, :, None]
    return jnp.where(inside, arrays, jnp.asarray(value)[None, None, None])


def _take(arrays: jax.Array, indices: jax.Array, axis: int) -> jax.Array:
    """Take other rows (axis 1) or columns (axis 2) of each array of a batch; indices [N, L]."""
    return jax.vmap(lambda array, index: jnp.take(array, index, axis - 1, mode="clip"))(
        arrays, indices
    )
