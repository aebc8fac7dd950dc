"""Depthwise convolutions as sums of moved copies, for CPUs.

XLA's own take many times as long (`docs/performance.md`). Reverse mode only: `jax.jvp` of a network
needs `layers.plain_formulation`.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(x: jax.Array, kernel: jax.Array, padding: tuple[int, int], dilation: int) -> jax.Array:
    """Convolve each channel by itself, at stride 1.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[kh, kw, 1, C]`, of x's dtype.
        padding: Zeros on either side of H and of W.
        dilation: Step between kernel taps, for both axes.

    Returns:
        `[N, H', W', C]` of x's dtype, as from `plain.convolve`.
    """
    return _add_moved(x, kernel, padding, dilation)


def _add_moved(x, kernel, padding, dilation):
    kh, kw = kernel.shape[:2]
    padded = _pad(x, padding)
    height, width = padded.shape[1] - dilation * (kh - 1), padded.shape[2] - dilation * (kw - 1)
    total = jnp.zeros((), jnp.float32)
    for i, j in np.ndindex(kh, kw):
        top, left = i * dilation, j * dilation
        seen = padded[:, top : top + height, left : left + width]
        total = total + _exact(seen) * _exact(kernel[i, j])[None, None]
    return total.astype(x.dtype)


def _convolve_forward(x, kernel, padding, dilation):
    return _add_moved(x, kernel, padding, dilation), (x, kernel)


def _convolve_backward(padding, dilation, saved, g):
    x, kernel = saved
    reach = [dilation * (k - 1) - p for k, p in zip(kernel.shape[:2], padding, strict=True)]
    dx = _add_moved(g, kernel[::-1, ::-1], reach, dilation)
    return dx, _kernel_gradient(x, kernel, g, padding, dilation)


convolve.defvjp(_convolve_forward, _convolve_backward)


def _kernel_gradient(x, kernel, g, padding, dilation):
    """Sum what a tap sees times the gradient, one tap after the other.

    Side by side XLA computes them several times slower. Each image has a sum of its own meanwhile,
    so that devices with an image each need to speak once, and not after every tap.
    """
    (kh, kw, *_), padded = kernel.shape, _pad(x, padding)

    def of_tap(tap):
        corner = (0, tap // kw * dilation, tap % kw * dilation, 0)
        seen = lax.dynamic_slice(padded, corner, g.shape)
        return (_exact(seen) * _exact(g)).sum((1, 2))

    return lax.map(of_tap, jnp.arange(kh * kw)).sum(1).reshape(kernel.shape).astype(kernel.dtype)


def _pad(x, padding):
    """Lay zeros around; negative padding cuts."""
    sides = [(0, 0, 0), *((p, p, 0) for p in padding), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), sides)


def _exact(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
