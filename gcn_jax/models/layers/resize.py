"""Bilinear resizing without parameters."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def size_of(x: jax.Array | np.ndarray) -> tuple[int, int]:
    """Return the height and the width of maps.

    Args:
        x: `[N, H, W, ...]`.
    """
    return x.shape[1], x.shape[2]


def fit(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Cut maps to a size, or repeat their last row and column up to it.

    So what was upsampled by a whole number gets the size of a finer map, whether coarse maps were
    rounded up or down.

    Args:
        x: `[N, H, W, C]`.
        size: Height and width.

    Returns:
        `[N, *size, C]` of x's dtype.
    """
    for axis, new in zip((1, 2), size, strict=True):
        old = x.shape[axis]
        if old == new:  # also where an export leaves the size open
            continue
        last = [_take(x, old - 1, old, axis)] * (new - old)
        x = jnp.concatenate([x, *last], axis) if last else _take(x, 0, new, axis)
    return x


def repeat_2x(x: jax.Array) -> jax.Array:
    """Resize `[N, H, W, C]` to `[N, 2H, 2W, C]`: each pixel becomes four."""
    for axis in (1, 2):
        n = x.shape[axis]
        pair = jnp.stack([x, x], axis + 1)
        x = pair.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1 :])
    return x


def resize_bilinear_2x(x: jax.Array) -> jax.Array:
    """Resize `[N, H, W, C]` to `[N, 2H, 2W, C]`, pixel centres at halves, the border repeated.

    Computed by shifts, not by `jax.image.resize`: along a sharded axis that one would gather the
    whole image on every device.
    """
    for axis in (1, 2):
        n = x.shape[axis]
        before = jnp.concatenate([_take(x, 0, 1, axis), _take(x, 0, n - 1, axis)], axis)
        after = jnp.concatenate([_take(x, 1, n, axis), _take(x, n - 1, n, axis)], axis)
        pair = jnp.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis + 1)
        x = pair.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1 :])
    return x


def _take(x: jax.Array, start: int, stop: int, axis: int) -> jax.Array:
    return lax.slice_in_dim(x, start, stop, axis=axis)


def resize_bilinear(
    x: jax.Array, size: tuple[int, int], *, align_corners: bool = False
) -> jax.Array:
    """Resize `[N, H, W, C]` to `[N, *size, C]`, the values those of PyTorch's `interpolate`.

    Args:
        x: float `[N, H, W, C]` of any precision.
        size: Height and width.
        align_corners: Whether the centres of the corner pixels stay where they are, as in Caffe's
            `Interp`; else the outer edges of the corner pixels do, and the border is repeated.

    Returns:
        `[N, *size, C]` of x's dtype.
    """
    for axis, new in zip((1, 2), size, strict=True):
        old, index = x.shape[axis], indices(new)
        if old == new:
            continue
        if not align_corners:
            x = _interpolate(x, axis, (2 * index + 1) * old - new, 2 * new)
        elif new == 1:
            x = lax.slice_in_dim(x, 0, 1, axis=axis)
        else:
            x = _interpolate(x, axis, index * (old - 1), new - 1)
    return x


def enlarge(x: jax.Array, size: tuple[int, int], factor: int) -> jax.Array:
    """Resize maps `factor` times, bilinearly, and cut them to a size or repeat the border up to it.

    So a map of patches, the last of which reach beyond the image, gets the image's size: the edges
    of patches stay where they are.

    Args:
        x: float `[N, H, W, C]` of any precision.
        size: Height and width.
        factor: Pixels to a pixel of x.

    Returns:
        `[N, *size, C]` of x's dtype.
    """
    for axis, new in zip((1, 2), size, strict=True):
        x = _interpolate(x, axis, 2 * indices(new) + 1 - factor, 2 * factor)
    return x


def resize_bicubic(x: jax.Array, size: tuple[int, int], *, antialias: bool = False) -> jax.Array:
    """Resize `[N, H, W, C]` to `[N, *size, C]`, the values those of PyTorch's `interpolate`.

    The outer edges of the corner pixels stay where they are.

    Args:
        x: float `[N, H, W, C]` of any precision.
        size: Height and width.
        antialias: Whether the kernel is as wide as the step where x gets smaller. PyTorch's kernel
            is another one then (a = -0.5, not -0.75), and ends at the border, which else repeats.

    Returns:
        `[N, *size, C]` of x's dtype.
    """
    for axis, new in zip((1, 2), size, strict=True):
        weights = _cubic_weights(x.shape[axis], new, antialias)
        y = jnp.tensordot(
            weights, x.astype(jnp.float32), axes=(1, axis), precision=lax.Precision.HIGHEST
        )
        x = jnp.moveaxis(y, 0, axis).astype(x.dtype)
    return x


def _cubic_weights(old: int, new: Any, antialias: bool) -> Any:
    """Return float32 `[new, old]`: the weight of each old pixel of an axis in each new one."""
    index = indices(new)[:, None]
    place = ((2 * index + 1) * old - new) / (2 * new)
    if antialias:
        stretch = (old / (0 * index + new)).clip(1)
        weights = _cubic(abs(place - np.arange(old)[None]) / stretch, -0.5)
        weights = weights / weights.sum(1, keepdims=True)
    else:
        weights = _cubic(abs(place - np.arange(-2, old + 2)[None]), -0.75)
        before, inside, after = weights[:, :2], weights[:, 2:-2], weights[:, -2:]
        pixel = np.arange(old)[None]
        weights = inside + (pixel == 0) * before.sum(1, keepdims=True)
        weights = weights + (pixel == old - 1) * after.sum(1, keepdims=True)
    return weights.astype(np.float32)


def _cubic(distance: Any, a: float) -> Any:
    """Return the kernel of cubic convolution (Keys 1981) at distances."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * a * distance - 4 * a
    return near * (distance <= 1) + far * ((distance > 1) & (distance < 2))


def sample_bilinear(x: jax.Array, size: tuple[int, int], step: float) -> jax.Array:
    """Sample `[N, H, W, C]` at every `step`-th pixel from the first on, to `[N, *size, C]`.

    So a map whose feature i lies at pixel 8 * i of the image, as symmetric padding places it, gets
    the image's size with a step of 1/8 and no shift. At sizes 8 * m + 1 that is a resizing with
    `align_corners`; beyond the last feature it is repeated.

    Args:
        x: float `[N, H, W, C]` of any precision.
        size: Height and width.
        step: Distance of samples, in pixels of x.

    Returns:
        `[N, *size, C]` of x's dtype.
    """
    ratio = Fraction(step).limit_denominator(1000)  # 4/3 is no float
    for axis, new in zip((1, 2), size, strict=True):
        x = _interpolate(x, axis, ratio.numerator * indices(new), ratio.denominator)
    return x


def indices(count: int) -> Any:
    """Return 0, 1, ..., as an array of NumPy's, or of JAX's where an export leaves the size open.

    Args:
        count: How many; a length of an array that is traced.
    """
    return np.arange(count) if isinstance(count, int) else jnp.arange(count)


def _interpolate(x: jax.Array, axis: int, positions: Any, unit: int) -> jax.Array:
    """Interpolate along an axis at positions in whole parts of a pixel, the border repeated.

    `unit` parts are a pixel: whole numbers are exact, also where an export computes them in 32
    bits. Interpolation is a product with a matrix of two weights in a row: the gradient is another
    one, whereas that of a gather scatters, which is slow and on a GPU differs from run to run.
    """
    old = x.shape[axis]
    positions = positions.clip(0, (old - 1) * unit)[:, None]
    distance = abs(positions - unit * indices(old)[None, :])
    weights = ((unit - distance).clip(0) / unit).astype(np.float32)
    y = jnp.tensordot(
        weights, x.astype(jnp.float32), axes=(1, axis), precision=lax.Precision.HIGHEST
    )
    return jnp.moveaxis(y, 0, axis).astype(x.dtype)
