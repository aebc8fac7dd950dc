"""The primitives in plain words, which the compiler of every device knows.

`layers/cpu/` and `layers/tpu.py` have the same functions in the words that are best on a CPU and on
a TPU, equal up to rounding; `backend.py` chooses. These here are what every other device gets, what
analyses count, and what has derivatives in forward mode (`jax.jvp`), too.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

_NHWC = ("NHWC", "HWIO", "NHWC")


def multiply(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """Multiply each pixel by a matrix.

    Args:
        x: `[N, H, W, C]`.
        matrix: `[C, C']`, of x's dtype.

    Returns:
        `[N, H, W, C']` of x's dtype.
    """
    return jnp.tensordot(x, matrix, axes=1)


def convolve(
    x: jax.Array, kernel: jax.Array, strides: int, padding: tuple[int, int], dilation: int
) -> jax.Array:
    """Convolve.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[kh, kw, C / groups, C']`, of x's dtype.
        strides: Step between output pixels, for both axes.
        padding: Zeros on either side of H and of W.
        dilation: Step between kernel taps, for both axes.

    Returns:
        `[N, H', W', C']` of x's dtype.
    """
    return lax.conv_general_dilated(
        x,
        kernel,
        (strides, strides),
        [(p, p) for p in padding],
        rhs_dilation=(dilation, dilation),
        dimension_numbers=_NHWC,
        feature_group_count=x.shape[3] // kernel.shape[2],
    )


def deconvolve(x: jax.Array, kernel: jax.Array, crop: int) -> jax.Array:
    """Deconvolve at stride f: convolve the input with zeros between its pixels.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[2 * f, 2 * f, C, C']`, of x's dtype.
        crop: Pixels that are cut off the output on every side.

    Returns:
        `[N, f * (H + 1) - 2 * crop, f * (W + 1) - 2 * crop, C']` of x's dtype.
    """
    size = kernel.shape[0]
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1, 1),
        padding=[(size - 1 - crop, size - 1 - crop)] * 2,
        lhs_dilation=(size // 2, size // 2),
        dimension_numbers=_NHWC,
    )


def max_pool(
    x: jax.Array, window: int, strides: int, padding: int, size: Sequence[int]
) -> jax.Array:
    """Max-pool.

    A window that holds NaN gives NaN. The gradient goes to the first maximum in reading order.

    Args:
        x: `[N, H, W, C]`.
        window: Height and width of a window.
        strides: Step between windows, for both axes.
        padding: How far the first windows reach beyond the image.
        size: H' and W', the number of windows; the last ones may reach beyond the image.

    Returns:
        `[N, H', W', C]` of x's dtype.
    """
    if strides == 1:  # XLA's gradient is wrong where devices split H (jax 0.10 to 0.12)
        return max_pool_by_slices(x, window, strides, padding, size)
    reach = [strides * (count - 1) + window for count in size]
    after = [max(padding, r - n - padding) for r, n in zip(reach, x.shape[1:3], strict=True)]
    return nn.max_pool(
        x, (window, window), strides=(strides, strides), padding=[(padding, p) for p in after]
    )


def max_pool_by_slices(
    x: jax.Array, window: int, strides: int, padding: int, size: Sequence[int]
) -> jax.Array:
    """Max-pool along W and then along H, with the result and the gradient of `max_pool`.

    Args:
        x: `[N, H, W, C]`.
        window: Height and width of a window.
        strides: Step between windows, for both axes.
        padding: How far the first windows reach beyond the image.
        size: H' and W', the number of windows; the last ones may reach beyond the image.

    Returns:
        `[N, H', W', C]` of x's dtype.
    """
    for axis in (2, 1):
        length = strides * (size[axis - 1] - 1) + 1
        slices = (cut(x, axis, i - padding, length, fill=-jnp.inf) for i in range(window))
        first, *others = (lax.slice_in_dim(s, 0, None, strides, axis) for s in slices)
        for other in others:
            first = jnp.where((first >= other) | jnp.isnan(first), first, other)
        x = first
    return x


def cut(x: jax.Array, axis: int, start: int, length: int, fill: float = 0.0) -> jax.Array:
    """Take a part of an axis, which may reach outside.

    Args:
        x: An array of any shape.
        axis: The axis.
        start: Where the part begins; negative before the axis.
        length: The length of the part.
        fill: The value outside.

    Returns:
        An array of x's dtype, whose axis has that length.
    """
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (-start, start + length - x.shape[axis], 0)
    return lax.pad(x, jnp.asarray(fill, x.dtype), config)


def relu(x: jax.Array) -> jax.Array:
    """Return the larger of x and 0; the gradient at 0 is 0."""
    return nn.relu(x)  # noqa: TID251
