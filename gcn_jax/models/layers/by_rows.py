"""The primitives for maps whose rows are split over devices.

They are those of `plain.py` but for a deconvolution, whose gradient XLA would compute from whole
maps (jax 0.10.2 and 0.12.0): with the zeros written out, neighbours hand rows to each other.
"""

import jax
import jax.numpy as jnp
from jax import lax

from gcn_jax.models.layers import plain
from gcn_jax.models.layers.plain import convolve, max_pool, multiply, relu

__all__ = ["convolve", "deconvolve", "max_pool", "multiply", "relu"]


def deconvolve(x: jax.Array, kernel: jax.Array, crop: int) -> jax.Array:
    """Deconvolve at stride f: lay zeros between the pixels of the input, then convolve.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[2 * f, 2 * f, C, C']`, of x's dtype.
        crop: Pixels that are cut off the output on every side.

    Returns:
        `[N, f * (H + 1) - 2 * crop, f * (W + 1) - 2 * crop, C']` of x's dtype.
    """
    size = kernel.shape[0]
    side = (size - 1 - crop, size - 1 - crop, size // 2 - 1)
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), side, side, (0, 0, 0)])
    return plain.convolve(x, kernel, 1, (0, 0), 1)
