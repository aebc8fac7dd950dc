"""Windows of one size that cover images of different sizes, as in sliding-window inference.

The images lie in the top left corners of an array `[N, H, W, K]`; `sizes`, int32 `[N, 2]`, has the
(height, width) of each. The windows of a grid, `(rows, columns)`, are spread evenly over each image
by itself: the first starts at its top left, the last ends at its bottom right. With a stride they
are that far apart, but for the last; an image that needs fewer than the grid has does not use them.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

Pair = tuple[int, int]


def make_grid(shape: Pair, window: Pair, overlap: float, stride: Pair | None = None) -> Pair:
    """Return how many (rows, columns) of windows an array of images needs.

    Args:
        shape: (H, W) of the array, no smaller than the window.
        window: (height, width).
        overlap: The least share of a window that its neighbour covers too, in [0, 1).
        stride: (height, width) from one to the next, instead of `overlap`.

    >>> make_grid((1024, 2048), window=(1024, 1024), overlap=0.66)
    (1, 4)
    """
    if stride is None:
        height, width = (max(1, size - math.floor(size * overlap)) for size in window)
        stride = height, width
    rows, columns = (
        1 + math.ceil((length - size) / step)
        for length, size, step in zip(shape, window, stride, strict=True)
    )
    return rows, columns


def origins(
    index: jax.Array | int, sizes: jax.Array, window: Pair, grid: Pair, stride: Pair | None = None
) -> jax.Array:
    """Return where the window of an index, in reading order, starts in each image: int32 `[N, 2]`.

    In an image that is smaller than the window it starts at 0, and reaches into the padding.

    Args:
        index: int32 scalar, the number of the window.
        sizes: int32 `[N, 2]`, the (height, width) of each image.
        window: (height, width).
        grid: (rows, columns) of windows.
        stride: (height, width) from one to the next; None: they are spread evenly.
    """
    places = jnp.asarray([index // grid[1], index % grid[1]])
    room = jnp.maximum(sizes - jnp.asarray(window)[None], 0)
    if stride is not None:
        return jnp.minimum((places * jnp.asarray(stride))[None], room)
    gaps = jnp.maximum(jnp.asarray(grid) - 1, 1)
    return (2 * places[None] * room + gaps[None]) // (2 * gaps[None])  # rounded in integers


def is_used(
    index: jax.Array | int, sizes: jax.Array, window: Pair, grid: Pair, stride: Pair | None = None
) -> jax.Array:
    """Return whether each image uses the window of an index: bool `[N]`.

    Args:
        index: int32 scalar, the number of the window.
        sizes: int32 `[N, 2]`, the (height, width) of each image.
        window: (height, width).
        grid: (rows, columns) of windows.
        stride: (height, width) from one to the next; None: they are spread evenly, and all used.
    """
    if stride is None:
        return jnp.ones(sizes.shape[0], bool)
    places = jnp.asarray([index // grid[1], index % grid[1]])
    room = sizes - jnp.asarray(window)[None]
    # The one before does not reach the border.
    return ((places == 0)[None] | (((places - 1) * jnp.asarray(stride))[None] < room)).all(axis=1)


def crop(arrays: jax.Array, starts: jax.Array, window: Pair) -> jax.Array:
    """Cut one window from each image.

    Args:
        arrays: `[N, H, W, K]`.
        starts: int32 `[N, 2]`, from `origins`.
        window: (h, w).

    Returns:
        `[N, h, w, K]`, of the dtype of the arrays.
    """

    def crop_one(array, start):
        return lax.dynamic_slice(array, (start[0], start[1], 0), (*window, array.shape[2]))

    return jax.vmap(crop_one)(arrays, starts)


def add(arrays: jax.Array, parts: jax.Array, starts: jax.Array) -> jax.Array:
    """Add one window to each image at its origin.

    Args:
        arrays: `[N, H, W, K]`.
        parts: `[N, h, w, K]`.
        starts: int32 `[N, 2]`, from `origins`.

    Returns:
        `[N, H, W, K]`, of the dtype of the arrays.
    """

    def add_one(array, part, start):
        before = lax.dynamic_slice(array, (start[0], start[1], 0), part.shape)
        return lax.dynamic_update_slice(array, before + part, (start[0], start[1], 0))

    return jax.vmap(add_one)(arrays, parts, starts)


def coverage(
    sizes: jax.Array, shape: Pair, window: Pair, grid: Pair, stride: Pair | None = None
) -> jax.Array:
    """Return how many windows cover each pixel; 1 where none does.

    Args:
        sizes: int32 `[N, 2]`, the (height, width) of each image.
        shape: (H, W) of the arrays.
        window: (height, width).
        grid: (rows, columns) of windows.
        stride: (height, width) from one to the next; None: they are spread evenly.

    Returns:
        float32 `[N, H, W]`.
    """
    indices = jnp.arange(grid[0] * grid[1])
    where = (sizes, window, grid, stride)
    starts = jax.vmap(lambda index: origins(index, *where))(indices)  # [G, N, 2]
    used = jax.vmap(lambda index: is_used(index, *where))(indices)  # [G, N]
    rows, columns = (
        _inside(jnp.arange(length), starts[..., axis, None], window[axis])
        for axis, length in enumerate(shape)
    )
    rows = rows * used[..., None]
    covered = jnp.einsum("gnh,gnw->nhw", rows, columns, precision="highest")
    return jnp.maximum(covered, 1.0)


def _inside(places: jax.Array, starts: jax.Array, size: int) -> jax.Array:
    places = places[None, None]
    return ((places >= starts) & (places < starts + size)).astype(jnp.float32)
