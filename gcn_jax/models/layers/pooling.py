"""Pooling: maximum, with and without its positions, mean, and mean over a grid of bins."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from gcn_jax.models.layers.backend import formulation
from gcn_jax.models.layers.conv import every_nth
from gcn_jax.models.layers.resize import indices


def max_pool(
    x: jax.Array, window: int = 3, strides: int = 2, padding: int = 1, *, ceil_mode: bool = False
) -> jax.Array:
    """Max-pool; the defaults are those of ResNet and give `ceil(n / 2)`.

    `H' = floor((H + 2 * padding - window) / strides) + 1`, or with the ceiling in place of the
    floor; W' likewise. The gradient goes to the first maximum of a window in reading order.

    Args:
        x: `[N, H, W, C]`.
        window: Height and width of a window.
        strides: Step between windows, for both axes.
        padding: How far windows reach beyond the image on either side; nothing there is a maximum.
        ceil_mode: Whether a last window that reaches further counts, too, as long as it starts in
            the image or in the padding before it (Caffe and PyTorch agree on this rule).

    Returns:
        `[N, H', W', C]` of x's dtype.
    """
    size = [_pooled_size(n, window, strides, padding, ceil_mode) for n in x.shape[1:3]]
    return formulation(x).max_pool(x, window, strides, padding, size)


def _pooled_size(n: int, window: int, strides: int, padding: int, ceil_mode: bool) -> int:
    room = n + 2 * padding - window
    if not ceil_mode:
        return room // strides + 1
    count = -(-room // strides) + 1
    return count - 1 if (count - 1) * strides >= n + padding else count


def max_pool_with_indices(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Max-pool 2 x 2 windows at stride 2, and say where each maximum was (SegNet).

    A position is 0 to 3 for the upper left, upper right, lower left and lower right pixel of the
    window; of several maxima it is that of the first.

    Args:
        x: `[N, H, W, C]`; of an odd size the last windows hold one row or column.

    Returns:
        Maxima of x's dtype and positions, int8, both `[N, ceil(H / 2), ceil(W / 2), C]`.
    """
    beyond = [(0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)]
    x = jnp.pad(x, beyond, constant_values=-jnp.inf)
    # By slices: a reshape into windows has wrong gradients on a mesh that splits H into more parts
    # than there are windows (XLA of jax 0.10 doubles them).
    maxima = every_nth(x, 2)
    indices = jnp.zeros(maxima.shape, jnp.int8)
    for index in (1, 2, 3):
        other = every_nth(x, 2, index // 2, index % 2)
        larger = (other > maxima) | jnp.isnan(other)
        maxima, indices = jnp.where(larger, other, maxima), jnp.where(larger, index, indices)
    return maxima, indices.astype(jnp.int8)


def max_unpool(x: jax.Array, indices: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Put values back where maxima were, and zeros elsewhere (SegNet).

    Args:
        x: `[N, h, w, C]`.
        indices: From `max_pool_with_indices`, of the shape of x.
        size: (H, W) of what was pooled there.

    Returns:
        `[N, H, W, C]` of x's dtype.
    """
    zero = jnp.zeros((), x.dtype)
    pixels = (
        lax.pad(jnp.where(indices == index, x, zero), zero, _at(*divmod(index, 2)))
        for index in range(4)
    )
    return sum(pixels, zero)[:, : size[0], : size[1]]


def _at(row: int, column: int) -> list[tuple[int, int, int]]:
    """Return the padding that puts pixels at one position of windows of 2 x 2."""
    return [(0, 0, 0), (row, 1 - row, 1), (column, 1 - column, 1), (0, 0, 0)]


def avg_pool(x: jax.Array) -> jax.Array:
    """Average 3 x 3 pixels around each of `[N, H, W, C]`.

    Zeros beyond the image count, as in Caffe (DeepLab's pool5a): the divisor is 9 everywhere.
    """
    return nn.avg_pool(x, (3, 3), padding=[(1, 1), (1, 1)])


def adaptive_avg_pool(x: jax.Array, bins: int | tuple[int, int]) -> jax.Array:
    """Average over a grid of bins that together cover the image (PSPNet, with PyTorch's windows).

    Bin i of b covers the pixels from floor(i * n / b) to ceil((i + 1) * n / b), without the last:
    bins overlap where b does not divide n, and repeat pixels where b > n.

    Args:
        x: `[N, H, W, C]`.
        bins: Number of bins along both axes, or (along H, along W).

    Returns:
        `[N, bins, bins, C]` of x's dtype, summed in float32.
    """
    bins = (bins, bins) if isinstance(bins, int) else bins
    rows, columns = (_bin_weights(n, b) for n, b in zip(x.shape[1:3], bins, strict=True))
    means = jnp.einsum("ih,nhwc->niwc", rows, x.astype(jnp.float32), precision="highest")
    means = jnp.einsum("jw,niwc->nijc", columns, means, precision="highest")
    return means.astype(x.dtype)


def _bin_weights(n: int, bins: int) -> jax.Array | np.ndarray:
    """Return float32 `[bins, n]`: the share of every pixel in the mean of every bin."""
    index, pixel = np.arange(bins)[:, None], indices(n)[None]
    inside = (pixel >= index * n // bins) & (pixel < -(-(index + 1) * n // bins))
    return (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
