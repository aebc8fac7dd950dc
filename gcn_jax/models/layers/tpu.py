"""The primitives in the words of a TPU: those of `plain.py` but for kernels of one row or column.

Such a convolution runs along one axis alone, and the lines of the other axis are as good as more
examples. Said so, XLA for TPUs computes the gradient of 15 taps where the maps lie; as one of a
window in two dimensions, it first writes the maps out once for every tap (`docs/performance.md`).
"""

import jax
from jax import lax

from gcn_jax.models.layers import plain
from gcn_jax.models.layers.plain import deconvolve, max_pool, multiply, relu

__all__ = ["convolve", "deconvolve", "max_pool", "multiply", "relu"]


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
    if strides == 1 and kernel.shape[0] == 1 and padding[0] == 0:
        return _convolve_rows(x, kernel[0], padding[1], dilation)
    if strides == 1 and kernel.shape[1] == 1 and padding[1] == 0:
        columns = _convolve_rows(x.swapaxes(1, 2), kernel[:, 0], padding[0], dilation)
        return columns.swapaxes(1, 2)
    return plain.convolve(x, kernel, strides, padding, dilation)


def _convolve_rows(x: jax.Array, kernel: jax.Array, padding: int, dilation: int) -> jax.Array:
    """Convolve each row of `[N, H, W, C]` by itself with a kernel `[k, C / groups, C']`."""
    n, height, width, channels = x.shape
    y = lax.conv_general_dilated(
        x.reshape(n * height, width, channels),
        kernel,
        window_strides=(1,),
        padding=[(padding, padding)],
        rhs_dilation=(dilation,),
        dimension_numbers=("NWC", "WIO", "NWC"),
        feature_group_count=channels // kernel.shape[1],
    )
    return y.reshape(n, height, *y.shape[1:])
