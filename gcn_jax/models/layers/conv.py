"""Convolution, deconvolution, and the initialisers of their kernels."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from gcn_jax.models.layers import pixel_blocks
from gcn_jax.models.layers.backend import formulation

Dtype = Any

#: Makes a parameter of a key, a shape and a dtype.
Initializer = Callable[..., jax.Array]


def normal_init(stddev: float) -> Initializer:
    """Return an initialiser that draws from a normal distribution.

    The values are those of `jax.random.normal(key, shape)`, but drawn in one dimension: XLA
    compiles that about ten times faster on CPU, and a network has a hundred kernels.
    """

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Dtype = jnp.float32) -> jax.Array:
        return stddev * jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)

    return init


def he_normal(key: jax.Array, shape: tuple[int, ...], dtype: Dtype = jnp.float32) -> jax.Array:
    """Initialise a kernel that a ReLU follows, by fan-out (He et al. 2015, as torchvision does).

    Args:
        key: The key of the draws.
        shape: `[..., C_in, C_out]`.
        dtype: The kernel's.

    Returns:
        The kernel: normal, with variance 2 / fan-out.
    """
    return normal_init(math.sqrt(2 / (math.prod(shape[:-2]) * shape[-1])))(key, shape, dtype)


def lecun_normal(key: jax.Array, shape: tuple[int, ...], dtype: Dtype = jnp.float32) -> jax.Array:
    """Initialise a kernel that no ReLU follows, by fan-in: variance is kept (LeCun et al. 1998).

    Args:
        key: The key of the draws.
        shape: `[..., C_in, C_out]`.
        dtype: The kernel's.

    Returns:
        The kernel: normal, with variance 1 / fan-in.
    """
    return normal_init(math.sqrt(1 / math.prod(shape[:-1])))(key, shape, dtype)


class Conv(nn.Module):
    """A 2-D convolution whose zero padding is symmetric, as in Caffe and PyTorch (never 'SAME').

    A 1 x 1 convolution is computed as a matrix product: XLA on CPU runs it about twice as fast
    forward, and three times backward, as its convolution.

    Parameters: `kernel` `[kh, kw, C_in / groups, features]` and, with `use_bias`, `bias`
    `[features]`.

    Attributes:
        features: Number of output channels.
        kernel_size: Height and width of the kernel.
        strides: Step between output pixels, for both axes.
        padding: Zeros on either side of each axis; None stands for `dilation * (k - 1) // 2`, with
            which an odd kernel keeps the size at stride 1 and gives `ceil(n / s)` at stride s.
        dilation: Step between kernel taps, for both axes.
        groups: In how many groups of channels input and output fall apart, each of which is
            convolved by itself; as many as there are channels make it depthwise.
        use_bias: Whether a bias is added.
        kernel_init: Initialiser of the kernel.
        dtype: That of computation and output; parameters are float32.
        block: The side of the blocks in which the pixels of input and output lie
            (`pixel_blocks`). Above 1 the kernel is square and odd, and keeps the size at stride 1
            without dilation or groups.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: int = 1
    padding: tuple[int, int] | None = None
    dilation: int = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = he_normal
    dtype: Dtype = jnp.float32
    block: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolve `[N, H, W, C_in]` to `[N, H', W', features]`; in blocks, block**2 as many."""
        x, area = x.astype(self.dtype), self.block**2
        shape = (*self.kernel_size, x.shape[-1] // area // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32).astype(self.dtype)
        padding = self.padding
        if padding is None:
            above, left = (self.dilation * (k - 1) // 2 for k in self.kernel_size)
            padding = (above, left)
        if self.block == 1:
            y = convolve(x, kernel, self.strides, padding, self.dilation)
        else:
            y = pixel_blocks.convolve(x, kernel, self.block)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            if area > 1:
                bias = jnp.tile(bias, area)
            y = y + bias.astype(self.dtype)[None, None, None, :]
        return y


def convolve(
    x: jax.Array, kernel: jax.Array, strides: int, padding: tuple[int, int], dilation: int
) -> jax.Array:
    """Convolve; a 1 x 1 kernel without padding multiplies pixels by a matrix.

    `H' = floor((H + 2 * padding[0] - dilation * (kh - 1) - 1) / strides) + 1`; W' likewise.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[kh, kw, C / groups, C']`, of x's dtype.
        strides: Step between output pixels, for both axes.
        padding: Zeros on either side of H and of W.
        dilation: Step between kernel taps, for both axes.

    Returns:
        `[N, H', W', C']` of x's dtype.
    """
    if kernel.shape[:3] == (1, 1, x.shape[3]) and padding == (0, 0):
        return formulation(x).multiply(every_nth(x, strides), kernel[0, 0])
    return formulation(x).convolve(x, kernel, strides, padding, dilation)


def every_nth(x: jax.Array, n: int, row: int = 0, column: int = 0) -> jax.Array:
    """Take every n-th row and column, also where an export leaves the size open.

    Indexing, `x[:, ::n]`, would then gather.

    Args:
        x: `[N, H, W, C]`.
        n: The step.
        row: The first row.
        column: The first column.

    Returns:
        `[N, ceil((H - row) / n), ceil((W - column) / n), C]`.
    """
    return lax.slice_in_dim(lax.slice_in_dim(x, row, None, n, axis=1), column, None, n, axis=2)


def bilinear_kernel_init(key: jax.Array, shape: tuple[int, ...], dtype: Dtype) -> jax.Array:
    """Return the kernel with which `deconvolve` interpolates each channel by itself.

    Args:
        key: Unused, there is nothing random.
        shape: `(2 * f, 2 * f, C, C)`.
        dtype: The kernel's.

    Returns:
        The kernel, zero between different channels.
    """
    del key
    taps = bilinear_taps(shape[0] // 2)
    kernel = np.einsum("h,w,io->hwio", taps, taps, np.eye(shape[2]))
    return jnp.asarray(kernel, dtype)


def bilinear_taps(factor: int) -> np.ndarray:
    """Return the `2 * factor` weights of linear interpolation, such as 1/4, 3/4, 3/4, 1/4."""
    rising = (np.arange(factor) + 0.5) / factor
    return np.concatenate([rising, rising[::-1]])


class Deconv2x(nn.Module):
    """Learnable x2 upsampling: the 4 x 4, stride 2, 'pad 1' deconvolution of FCN, without bias.

    It starts as bilinear interpolation (beyond the border there are zeros) and mixes channels as
    far as it learns to: the kernel is dense, zero off the diagonal at first.

    Parameters: `kernel` `[4, 4, C, C]`: output pixel `o` gets `kernel[2 * i + 2 - o]` times input
    pixel `i` along each axis, that is, the kernel of the equivalent convolution over the input
    with zeros between its pixels (a Caffe or PyTorch kernel flipped in both axes).

    Attributes:
        dtype: That of computation and output; the kernel is float32.
        block: The side of the blocks in which the pixels of the output lie (`pixel_blocks`), an
            even number, and those of the input in blocks of half that side; 1 for no blocks.
    """

    dtype: Dtype = jnp.float32
    block: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Upsample `[N, H, W, C]` to `[N, 2H, 2W, C]`; in blocks, to `[N, H, W, 4C]`."""
        x, block = x.astype(self.dtype), max(1, self.block // 2)
        channels = x.shape[-1] // block**2
        shape = (4, 4, channels, channels)
        kernel = self.param("kernel", bilinear_kernel_init, shape, jnp.float32).astype(self.dtype)
        if self.block == 1:
            return deconvolve(x, kernel, crop=1)
        return pixel_blocks.deconvolve_2x(x, kernel, block)


def deconvolve(x: jax.Array, kernel: jax.Array, crop: int = 0) -> jax.Array:
    """Deconvolve at stride f with a kernel of twice that size.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[2 * f, 2 * f, C, C']` of x's dtype, as in `Deconv2x`.
        crop: Pixels that are cut off the output on every side (the 'pad' of Caffe and PyTorch).

    Returns:
        `[N, f * (H + 1) - 2 * crop, f * (W + 1) - 2 * crop, C']` of x's dtype.
    """
    return formulation(x).deconvolve(x, kernel, crop)
