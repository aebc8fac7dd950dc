"""Compiled steps from images to a view of them, such as a scale, to its windows, and back."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gcn_jax.inference import resizing, windows
from gcn_jax.inference.windows import Pair
from gcn_jax.models.layers import size_of
from gcn_jax.models.preprocessing import in_levels


@functools.partial(jax.jit, static_argnames=("longer", "shorter", "multiple"))
def sizes_at(
    sizes: jax.Array,
    scale: float,
    longer: int | None = None,
    shorter: int | None = None,
    multiple: int = 1,
) -> jax.Array:
    """Return the (height, width) of each image at a scale: int32 `[N, 2]`.

    Args:
        sizes: int32 `[N, 2]`, those that they have.
        scale: The factor, where no side is given.
        longer: Pixels that the longer side is to have.
        shorter: Pixels that the shorter side is to have.
        multiple: See `resizing.sizes_by_side`.
    """
    if longer is None and shorter is None:
        return jnp.maximum(jnp.rint(sizes * scale), 1).astype(jnp.int32)
    return resizing.sizes_by_side(sizes, longer, shorter, multiple)


@functools.partial(jax.jit, static_argnames="canvas")
def take(
    images: jax.Array,
    sizes: jax.Array,
    view_sizes: jax.Array,
    fill: jax.Array | np.ndarray,
    flip: bool,
    canvas: Pair,
) -> jax.Array:
    """Resize, mirror and pad images.

    Args:
        images: uint8 or uint16 `[N, H, W, 3]`.
        sizes: int32 `[N, 2]`, the (height, width) of each.
        view_sizes: int32 `[N, 2]`, what they become.
        fill: float32 `[3]`, the colour below and to the right of them.
        flip: Whether they are mirrored.
        canvas: The (height, width) of the result.

    Returns:
        float32 `[N, *canvas, 3]`, in 0..255.
    """
    view = resizing.resize(in_levels(images), sizes, view_sizes, canvas, mirror=flip)
    return resizing.fill_outside(view, view_sizes, fill)


@functools.partial(jax.jit, donate_argnames="total")
def add(
    total: jax.Array,
    view: jax.Array,
    view_sizes: jax.Array,
    sizes: jax.Array,
    weight: float,
    flip: bool,
) -> jax.Array:
    """Add the probabilities of a view, brought back to the images' size, to a weighted sum.

    Args:
        total: float32 `[N, H, W, C]`, the sum, which is used up.
        view: float32 `[N, h, w, C]`, those of the view.
        view_sizes: int32 `[N, 2]`, the (height, width) of each image in it.
        sizes: int32 `[N, 2]`, what they become.
        weight: That of the view.
        flip: Whether it is mirrored.

    Returns:
        float32 `[N, H, W, C]`.
    """
    own = resizing.resize(view, view_sizes, sizes, size_of(total), mirror=flip)
    return total + weight * own


@functools.partial(jax.jit, static_argnames="window")
def to_middle(view: jax.Array, view_sizes: jax.Array, window: Pair) -> tuple[jax.Array, jax.Array]:
    """Move images that are smaller than a window to its middle; return them and their sizes now.

    Args:
        view: `[N, h, w, K]`, images in the top left corner of a padding.
        view_sizes: int32 `[N, 2]`, the (height, width) of each.
        window: (height, width), no more than h and w.
    """
    return _move(view, _margins(view_sizes, window)), jnp.maximum(
        view_sizes, jnp.array(window)[None]
    )


@functools.partial(jax.jit, static_argnames="window", donate_argnames="view")
def from_middle(view: jax.Array, view_sizes: jax.Array, window: Pair) -> jax.Array:
    """Move back what `to_middle` has moved.

    Args:
        view: `[N, h, w, K]`, which is used up.
        view_sizes: int32 `[N, 2]`, as they were.
        window: (height, width).
    """
    return _move(view, -_margins(view_sizes, window))


@functools.partial(jax.jit, static_argnames=("window", "grid", "stride"))
def crop(
    view: jax.Array,
    sizes: jax.Array,
    index: jax.Array | int,
    window: Pair,
    grid: Pair,
    stride: Pair | None,
) -> jax.Array:
    """Cut the window of an index from each image: `[N, *window, 3]`.

    Args:
        view: float32 `[N, h, w, 3]`.
        sizes: int32 `[N, 2]`, the (height, width) of each image.
        index: The number of the window, see `windows.origins`.
        window: (height, width).
        grid: (rows, columns) of windows.
        stride: (height, width) from one to the next; None: they are spread evenly.
    """
    return windows.crop(view, windows.origins(index, sizes, window, grid, stride), window)


@functools.partial(jax.jit, static_argnames=("grid", "stride"), donate_argnames="total")
def add_window(
    total: jax.Array,
    result: jax.Array,
    sizes: jax.Array,
    index: jax.Array | int,
    grid: Pair,
    stride: Pair | None,
) -> jax.Array:
    """Add the probabilities of the window of an index, for the images that use it.

    Args:
        total: float32 `[N, h, w, C]`, the sum, which is used up.
        result: float32 `[N, *window, C]`, those of the window.
        sizes: int32 `[N, 2]`, the (height, width) of each image.
        index: The number of the window.
        grid: (rows, columns) of windows.
        stride: (height, width) from one to the next; None: they are spread evenly.

    Returns:
        float32 `[N, h, w, C]`.
    """
    window = size_of(result)
    if stride is not None:
        used = windows.is_used(index, sizes, window, grid, stride)
        result = result * used[:, None, None, None]
    return windows.add(total, result, windows.origins(index, sizes, window, grid, stride))


@functools.partial(jax.jit, static_argnames=("window", "grid", "stride"), donate_argnames="total")
def divide_by_coverage(
    total: jax.Array, sizes: jax.Array, window: Pair, grid: Pair, stride: Pair | None
) -> jax.Array:
    """Divide sums over windows by how many cover each pixel.

    Args:
        total: float32 `[N, h, w, C]`, which is used up.
        sizes: int32 `[N, 2]`, the (height, width) of each image.
        window: (height, width).
        grid: (rows, columns) of windows.
        stride: (height, width) from one to the next; None: they are spread evenly.
    """
    return total / windows.coverage(sizes, size_of(total), window, grid, stride)[..., None]


def _margins(view_sizes, window):
    """Return the pixels above and to the left of smaller images: an odd one goes below, right."""
    return jnp.maximum(jnp.array(window)[None] - view_sizes, 0) // 2


def _move(arrays, by):
    """Move each image down and to the right; what leaves the array, padding, comes in again."""
    return jax.vmap(lambda array, shift: jnp.roll(array, shift, axis=(0, 1)))(arrays, by)
