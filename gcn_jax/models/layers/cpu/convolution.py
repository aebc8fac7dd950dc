"""Convolution, deconvolution and ReLU as XLA computes them fastest on a CPU.

XLA on a CPU is good at matrix products, and at convolutions whose channels fill its vectors; its
gradients of convolutions often are not. So these functions say the same in other
words. `layers/backend.py` chooses between them and `layers/plain.py`, to which results and
gradients are equal up to rounding; `docs/performance.md` has what each is worth.
"""

from functools import partial

import jax
import jax.numpy as jnp

from gcn_jax.models.layers import plain
from gcn_jax.models.layers.cpu import depthwise as cpu_depthwise
from gcn_jax.models.layers.cpu import products as cpu_products
from gcn_jax.models.layers.cpu import winograd as cpu_winograd
from gcn_jax.models.layers.cpu.products import gather_shifted, multiply
from gcn_jax.models.layers.plain import cut

#: Channels are padded to a multiple of this: floats in half a vector of AVX-512.
_LANES = 8
#: With more channels padding costs more than it gains.
_NARROW = 32
#: A convolution to so many times fewer channels is cheaper by taps: 256 to 21 at 64 x 64.
_TO_FEW = 4


def relu(x: jax.Array) -> jax.Array:
    """Return x where it is not negative, else 0, with gradient 0 at 0.

    Not a maximum, which XLA computes again in everything that reads it: so it would add up the
    shortcuts of all residual blocks before, in each block.
    """
    return jnp.where(x <= 0, 0, x)


def convolve(
    x: jax.Array, kernel: jax.Array, strides: int, padding: tuple[int, int], dilation: int
) -> jax.Array:
    """Convolve in the words that suit the kernel and the channels.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[kh, kw, C / groups, C']`, of x's dtype.
        strides: Step between output pixels, for both axes.
        padding: Zeros on either side of H and of W.
        dilation: Step between kernel taps, for both axes.

    Returns:
        `[N, H', W', C']` of x's dtype.
    """
    kh, kw, c_in, c_out = kernel.shape
    how = (strides, padding, dilation)
    if c_in < x.shape[3]:
        if strides == c_in == 1 and c_out == x.shape[3]:
            return cpu_depthwise.convolve(x, kernel, padding, dilation)
        return plain.convolve(x, kernel, *how)
    if kh == kw == strides > 1 and padding == (0, 0) and dilation == 1:
        return _convolve_patches(x, kernel)
    if strides > 1:
        return cpu_products.convolve(x, kernel, *how)
    if c_in >= _TO_FEW * c_out and (min(kh, kw) == 1 or (kh == kw == 3 and c_out <= _NARROW)):
        return _convolve_by_taps(x, kernel, padding, dilation)
    if cpu_winograd.pays(x, kernel, padding, dilation):
        return cpu_winograd.convolve(x, kernel, padding, dilation)
    if max(c_in, c_out) > _NARROW:
        if min(kh, kw) >= 5 and padding == (0, 0) and dilation == 1:
            return _convolve_by_windows(x, kernel)
        return (cpu_products if kh == kw == 3 else plain).convolve(x, kernel, *how)
    kernel = _pad_channels(_pad_channels(kernel, axis=2), axis=3)
    # Along H alone, XLA's own gradient of the kernel is as fast as products.
    words = plain if kw == 1 else cpu_products
    return words.convolve(_pad_channels(x, axis=3), kernel, *how)[..., :c_out]


def deconvolve(x: jax.Array, kernel: jax.Array, crop: int) -> jax.Array:
    """Deconvolve at stride f by one convolution.

    Output pixels of one phase (their number modulo f) see 2 x 2 inputs, through every f-th tap. So
    all f x f phases are one 2 x 2 convolution with f * f times the channels, and then laid between
    each other.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[2 * f, 2 * f, C, C']`, of x's dtype.
        crop: Pixels that are cut off the output on every side.

    Returns:
        `[N, f * (H + 1) - 2 * crop, f * (W + 1) - 2 * crop, C']` of x's dtype.
    """
    n, height, width, _ = x.shape
    f, c_out = kernel.shape[0] // 2, kernel.shape[3]
    if c_out <= _NARROW:
        kernel = _pad_channels(_pad_channels(kernel, axis=2), axis=3)
        x = _pad_channels(x, axis=3)
    c_in, padded = kernel.shape[2:]
    # Tap f * d + r is tap d of phase f - 1 - r: output f * i + f - 1 - r sees inputs i - 1 + d.
    taps = kernel.reshape(2, f, 2, f, c_in, padded)[:, ::-1, :, ::-1]
    taps = taps.transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, c_in, f * f * padded)
    y = cpu_products.convolve(x, taps, 1, (1, 1), 1)
    y = y.reshape(n, height + 1, width + 1, f, f, padded)
    y = y.transpose(0, 1, 3, 2, 4, 5).reshape(n, f * (height + 1), f * (width + 1), padded)
    return y[:, crop : y.shape[1] - crop, crop : y.shape[2] - crop, :c_out]


# ------------------------------------------------------------------------------- many to few
def _convolve_by_taps(x, kernel, padding, dilation):
    """One matrix product gives what each pixel adds to its neighbours; then these are added."""
    c_in = x.shape[3]
    taps = kernel.transpose(2, 1, 0, 3).reshape(c_in, -1)
    y = _add_shifted(multiply(x, taps), 2, kernel.shape[1], padding[1], dilation)
    return _add_shifted(y, 1, kernel.shape[0], padding[0], dilation)


def _sum_shifted(y, axis, k, padding, dilation):
    length = y.shape[axis] + 2 * padding - dilation * (k - 1)
    groups = jnp.split(y, k, axis=3)
    return sum(cut(g, axis, i * dilation - padding, length) for i, g in enumerate(groups))


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _add_shifted(y: jax.Array, axis: int, k: int, padding: int, dilation: int) -> jax.Array:
    """Add k groups of channels, group i moved back along the axis by i * dilation - padding."""
    return _sum_shifted(y, axis, k, padding, dilation)


def _add_shifted_forward(y, axis, k, padding, dilation):
    return _sum_shifted(y, axis, k, padding, dilation), y.shape[axis]


def _add_shifted_backward(axis, k, padding, dilation, length, g):
    # Left to itself JAX pads every group of the gradient to all k groups, and adds these.
    return (gather_shifted(g, axis, [padding - i * dilation for i in range(k)], length),)


_add_shifted.defvjp(_add_shifted_forward, _add_shifted_backward)


# ------------------------------------------------------------------- patches that touch each other
def _convolve_patches(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """One matrix product of the patches; what fills none is left out."""
    size, c_out = kernel.shape[0], kernel.shape[3]
    n, height, width, channels = x.shape
    rows, columns = height // size, width // size
    x = x[:, : rows * size, : columns * size]
    x = x.reshape(n, rows, size, columns, size, channels).transpose(0, 1, 3, 2, 4, 5)
    return multiply(x.reshape(n, rows, columns, -1), kernel.reshape(-1, c_out))


# ------------------------------------------------------------- large kernels, many channels
def _convolve_by_windows(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """One matrix product of copied windows, without padding: dense layers as convolutions.

    XLA's gradient of x takes 30 times as long for VGG's fc6, whose outputs have many channels.
    """
    kh, kw, _, c_out = kernel.shape
    height, width = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    x = gather_shifted(x, 2, range(kw), width)
    x = gather_shifted(x, 1, range(kh), height)
    return multiply(x, kernel.reshape(-1, c_out))


# ----------------------------------------------------------------------------------- helpers
def _pad_channels(x: jax.Array, axis: int) -> jax.Array:
    return cut(x, axis, 0, -(-x.shape[axis] // _LANES) * _LANES)
