"""Maps whose pixels lie in blocks, and convolutions of such maps: exact, with the same kernels.

A TPU keeps the last axis of an array in tiles of 128, which the scores of 21 classes fill to a
sixth. Blocks of 2 x 2 pixels have 84 channels, and blocks of 4 x 4 have 336. A convolution of
pixels is one of blocks too, with a kernel that holds the same taps, each for every pixel of a block
that it is for, and zeros: more products, which a TPU has to spare, and less memory.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gcn_jax.models.layers import plain


def space_to_depth(x: jax.Array, block: int) -> jax.Array:
    """Lay blocks of block x block pixels into the channels, row by row.

    Args:
        x: `[N, H, W, C]`; block divides H and W.
        block: The side of a block; 1 leaves x as it is.

    Returns:
        `[N, H / block, W / block, block * block * C]`.
    """
    if block == 1:
        return x
    n, height, width, channels = x.shape
    x = x.reshape(n, height // block, block, width // block, block, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, height // block, width // block, -1)


def depth_to_space(x: jax.Array, block: int) -> jax.Array:
    """Undo `space_to_depth`.

    Args:
        x: `[N, H, W, block * block * C]`.
        block: The side of a block; 1 leaves x as it is.

    Returns:
        `[N, block * H, block * W, C]`.
    """
    if block == 1:
        return x
    n, height, width, _ = x.shape
    x = x.reshape(n, height, width, block, block, -1).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, block * height, block * width, -1)


def pixels_last(x: jax.Array, block: int) -> jax.Array:
    """Lay the pixels at each place of a block by themselves, behind the channels.

    After `depth_to_space` the maps are never whole in between: XLA joins the two.

    Args:
        x: `[N, H, W, C]`; block divides H and W.
        block: The side of a block.

    Returns:
        `[N, block * block, C, H / block, W / block]`.
    """
    n, height, width, channels = x.shape
    x = x.reshape(n, height // block, block, width // block, block, channels)
    x = x.transpose(0, 2, 4, 5, 1, 3)
    return x.reshape(n, block * block, channels, height // block, width // block)


def convolve(x: jax.Array, kernel: jax.Array, block: int) -> jax.Array:
    """Convolve maps in blocks at stride 1, with the zeros around them that keep their size.

    Args:
        x: `[N, H, W, block * block * C]`.
        kernel: `[k, k, C, C']`, of x's dtype; k is odd and at most `2 * block + 1`.
        block: The side of a block.

    Returns:
        `[N, H, W, block * block * C']` of x's dtype.
    """
    size = kernel.shape[0]
    # Output pixel p of a block sees pixel q of the block d further on through tap q + d - p.
    taps = _taps(block, block, size, lambda d, q, p: block * d + q - p + size // 2)
    return plain.convolve(x, _kernel_of_blocks(kernel, taps), 1, (1, 1), 1)


def deconvolve_2x(x: jax.Array, kernel: jax.Array, block: int) -> jax.Array:
    """Deconvolve maps in blocks at stride 2, with one pixel cut off every side of the output.

    Args:
        x: `[N, H, W, block * block * C]`.
        kernel: `[4, 4, C, C']`, of x's dtype, as in `Deconv2x`.
        block: The side of a block of x; 1 for pixels.

    Returns:
        `[N, H, W, (2 * block)**2 * C']` of x's dtype: blocks twice as wide.
    """
    taps = _taps(block, 2 * block, 4, lambda d, q, p: 2 * (block * d + q) + 2 - p)
    return plain.convolve(x, _kernel_of_blocks(kernel, taps), 1, (1, 1), 1)


def _taps(block_in: int, block_out: int, size: int, tap: Callable[..., np.ndarray]) -> np.ndarray:
    """Mark the tap through which pixel p of a block sees pixel q of the one before, at or after it.

    Returns:
        bool `[3, block_in, block_out, size]`; all false where it does not see that pixel.
    """
    d, q, p, t = np.ogrid[-1:2, :block_in, :block_out, :size]
    return tap(d, q, p) == t


def _kernel_of_blocks(kernel: jax.Array, taps: np.ndarray) -> jax.Array:
    """Return the 3 x 3 kernel between blocks; to place taps by products spares a scatter."""
    place = jnp.asarray(taps, kernel.dtype)
    placed = jnp.einsum(
        "dqpt,eruv,tvio->deqripuo", place, place, kernel, precision=lax.Precision.HIGHEST
    )
    _, block_in, block_out, _ = taps.shape
    return placed.reshape(3, 3, block_in**2 * kernel.shape[2], block_out**2 * kernel.shape[3])
