"""Images of different sizes in one array: resize, mirror and fill each within its own borders.

The images of a bucket lie in the top left corners of one array `[N, H, W, K]`; `sizes`, int32
`[N, 2]`, has the (height, width) of each. What these functions give for one image is what they
would give for it alone: the padding never mixes with it. They read pixels by their index, with no
product of matrices: their precision is the same on every accelerator, and with the batch split over
devices nothing is sent between them.
"""

import jax
import jax.numpy as jnp


def resize(
    arrays: jax.Array, from_sizes: jax.Array, to_sizes: jax.Array, shape: tuple[int, int]
) -> jax.Array:
    """Resize each image bilinearly, pixel centres at halves, the border repeated, no antialiasing.

    The same as PyTorch's `interpolate(..., mode="bilinear", align_corners=False)` of each image
    without its padding.

    Args:
        arrays: float32 [N, H, W, K].
        from_sizes: int32 [N, 2], the (height, width) of each image, 1 or more.
        to_sizes: int32 [N, 2], what they become; at most `shape`.
        shape: (H', W') of the result.

    Returns:
        float32 [N, H', W', K]; beyond `to_sizes` an image's last row and column are repeated.
    """
    for axis, length in zip((1, 2), shape, strict=True):
        arrays = _resize_axis(arrays, from_sizes[:, axis - 1], to_sizes[:, axis - 1], axis, length)
    return arrays


def _resize_axis(arrays, from_lengths, to_lengths, axis, length):
    last = from_lengths[:, None] - 1
    ratio = from_lengths / to_lengths
    place = (jnp.arange(length, dtype=jnp.float32)[None] + 0.5) * ratio[:, None] - 0.5
    place = jnp.clip(place, 0, last)
    before = place.astype(jnp.int32)
    after = jnp.minimum(before + 1, last)
    weight = jnp.expand_dims(place - before, (2, 3) if axis == 1 else (1, 3))
    return (1 - weight) * _take(arrays, before, axis) + weight * _take(arrays, after, axis)


def mirror(arrays: jax.Array, sizes: jax.Array) -> jax.Array:
    """Mirror each image from left to right; it stays in the top left corner.

    Args:
        arrays: [N, H, W, K].
        sizes: int32 [N, 2].

    Returns:
        [N, H, W, K]; what it has beyond `sizes` means nothing.
    """
    columns = sizes[:, 1:] - 1 - jnp.arange(arrays.shape[2])[None]
    return _take(arrays, jnp.maximum(columns, 0), axis=2)


def fill_outside(arrays: jax.Array, sizes: jax.Array, value: jax.Array) -> jax.Array:
    """Set every pixel beyond an image's size to a value [K]; arrays [N, H, W, K], sizes [N, 2]."""
    rows = jnp.arange(arrays.shape[1])[None] < sizes[:, :1]
    columns = jnp.arange(arrays.shape[2])[None] < sizes[:, 1:]
    inside = rows[:, :, None, None] & columns[:, None, :, None]
    return jnp.where(inside, arrays, value[None, None, None])


def _take(arrays: jax.Array, indices: jax.Array, axis: int) -> jax.Array:
    """Take other rows (axis 1) or columns (axis 2) of each array of a batch; indices [N, L]."""
    return jax.vmap(lambda array, index: jnp.take(array, index, axis - 1, mode="clip"))(
        arrays, indices
    )
