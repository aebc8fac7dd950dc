"""The primitives every network is built from: convolution, batch-norm, upsampling.

Networks use these instead of `flax.linen`'s own, so how a primitive is computed can change in one
place; on a CPU some are computed in other words (`cpu.py`). The names and shapes of parameters
belong to the primitive, not to how it is computed: a checkpoint never depends on it.
"""

import contextlib
import contextvars
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from gcn_jax.errors import UserError
from gcn_jax.models import cpu, cpu_products

Dtype = Any
Initializer = jax.nn.initializers.Initializer

#: The collection of `sow_auxiliary`: name -> (weight, logits).
AUXILIARY = "auxiliary"

_everywhere_plain = contextvars.ContextVar("everywhere_plain", default=False)


def computes_on_cpu() -> bool:
    """Return whether primitives are computed as XLA on CPUs does it best (`cpu.py`).

    Other devices get the plain formulation, which their compilers know: cuDNN has its own.
    """
    return jax.default_backend() == "cpu" and not _everywhere_plain.get()


@contextlib.contextmanager
def plain_formulation() -> Iterator[None]:
    """Trace the plain formulation inside, on a CPU too: what is counted is then the network's."""
    token = _everywhere_plain.set(True)
    try:
        yield
    finally:
        _everywhere_plain.reset(token)


def check_images(images: jax.Array) -> None:
    """Raise `UserError` unless images are a batch of floats."""
    if images.ndim != 4 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(
            f"images are {images.dtype}{list(images.shape)}, but must be normalised floats "
            "[N, H, W, 3]; `gcn_jax.models.predict` takes one uint8 image as it is"
        )


def normal_init(stddev: float) -> Initializer:
    """Return an initialiser that draws from a normal distribution.

    The values are those of `jax.random.normal(key, shape)`, but drawn in one dimension: XLA
    compiles that about ten times faster on CPU, and a network has a hundred kernels.
    """

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Dtype = jnp.float32) -> jax.Array:
        return stddev * jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)

    return init


def he_normal(key: jax.Array, shape: tuple[int, ...], dtype: Dtype = jnp.float32) -> jax.Array:
    """Initialise a kernel `[..., in, out]` that a ReLU follows, by fan-out (as torchvision)."""
    return normal_init(math.sqrt(2 / (math.prod(shape[:-2]) * shape[-1])))(key, shape, dtype)


def lecun_normal(key: jax.Array, shape: tuple[int, ...], dtype: Dtype = jnp.float32) -> jax.Array:
    """Initialise a kernel `[..., in, out]` that no ReLU follows: variance is kept."""
    return normal_init(math.sqrt(1 / math.prod(shape[:-1])))(key, shape, dtype)


class Conv(nn.Module):
    """A 2-D convolution whose zero padding is symmetric, as in Caffe and PyTorch (never 'SAME').

    A 1 x 1 convolution is computed as a matrix product: XLA on CPU runs it about twice as fast
    forward, and three times backward, as its convolution.

    Parameters: `kernel` `[kh, kw, C_in, features]` and, with `use_bias`, `bias` `[features]`.

    Attributes:
        features: number of output channels.
        kernel_size: height and width of the kernel.
        strides: step between output pixels, for both axes.
        padding: zeros on either side of each axis; None stands for `dilation * (k - 1) // 2`, with
            which an odd kernel keeps the size at stride 1 and gives `ceil(n / s)` at stride s.
        dilation: step between kernel taps, for both axes.
        use_bias: whether a bias is added.
        kernel_init: initialiser of the kernel.
        dtype: of the computation and of the output; parameters are float32.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: int = 1
    padding: tuple[int, int] | None = None
    dilation: int = 1
    use_bias: bool = True
    kernel_init: Initializer = he_normal
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolve `[N, H, W, C_in]` to `[N, H', W', features]`."""
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32).astype(self.dtype)
        padding = self.padding
        if padding is None:
            padding = tuple(self.dilation * (k - 1) // 2 for k in self.kernel_size)
        y = convolve(x.astype(self.dtype), kernel, self.strides, padding, self.dilation)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            y = y + bias.astype(self.dtype)[None, None, None, :]
        return y


def convolve(
    x: jax.Array, kernel: jax.Array, strides: int, padding: tuple[int, int], dilation: int
) -> jax.Array:
    """Convolve `[N, H, W, C]` with a kernel `[kh, kw, C, C']`; see `Conv` for the arguments."""
    if kernel.shape[:2] == (1, 1) and padding == (0, 0):
        x = x[:, ::strides, ::strides, :]
        if computes_on_cpu():
            return cpu_products.multiply(x, kernel[0, 0])
        return jnp.tensordot(x, kernel[0, 0], axes=1)
    how = (strides, padding, dilation)
    return (cpu.convolve if computes_on_cpu() else cpu_products.plain)(x, kernel, *how)


def relu(x: jax.Array) -> jax.Array:
    """Return the larger of x and 0, of x's shape and dtype; the gradient at 0 is 0.

    Networks use this one: `flax.linen.relu` slows residual networks down on CPUs (`cpu.relu`).
    """
    return cpu.relu(x) if computes_on_cpu() else nn.relu(x)  # noqa: TID251


def sow_auxiliary(module: nn.Module, name: str, logits: jax.Array, weight: float) -> None:
    """Hand logits to the training step besides those that a network returns.

    The step adds `weight` times their objective to the loss. They are of use in training only, and
    so are the layers that make them: a network has these `if train or self.is_initializing()`.

    Args:
        module: the network.
        name: of the logits.
        logits: float32, for the labels of the network's own logits in training, or for those of
            every s-th pixel where the network has `auxiliary_strides`, name -> s, of all names.
        weight: of their objective in the sum.
    """
    module.sow(AUXILIARY, name, (weight, logits), reduce_fn=lambda _, new: new)


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015), computed in float32 whatever `dtype` is.

    Under `jit` with a sharded batch the statistics are those of the whole batch, over all devices.
    It differs from `flax.linen.BatchNorm`, whose names and running averages it has, in what the
    backward pass needs: x alone, where that one keeps `x - mean` too, another array of this size.

    Parameters: `scale`, `bias` `[C]`; batch_stats: `mean`, `var` `[C]`, float32.

    Attributes:
        use_running_average: whether `batch_stats` normalise, and not the batch, which then moves
            these averages.
        momentum: what is kept of the averages in each step. It and `epsilon` are torchvision's.
        epsilon: is added to the variance.
        scale_init: initialiser of the scale.
        dtype: of the output.
    """

    use_running_average: bool
    momentum: float = 0.9
    epsilon: float = 1e-5
    scale_init: Initializer = nn.initializers.ones
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `[N, H, W, C]` along all axes but the last."""
        channels = (x.shape[-1],)
        scale = self.param("scale", self.scale_init, channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, channels, jnp.float32)
        averages = (
            self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32),
            self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32),
        )
        x = x.astype(jnp.float32)
        if self.use_running_average:
            mean, var = (average.value for average in averages)
        else:
            mean = x.mean((0, 1, 2))
            # Not jnp.square, whose gradient would keep 2 x beside x.
            var = jnp.maximum((x * x).mean((0, 1, 2)) - mean * mean, 0)
            if not self.is_initializing():
                for average, new in zip(averages, (mean, var), strict=True):
                    average.value = self.momentum * average.value + (1 - self.momentum) * new
        factor = scale * lax.rsqrt(var + self.epsilon)
        shift = bias - mean * factor
        return (x * factor[None, None, None] + shift[None, None, None]).astype(self.dtype)


def bilinear_kernel_init(key: jax.Array, shape: tuple[int, ...], dtype: Dtype) -> jax.Array:
    """Return the kernel with which `deconvolve` interpolates each channel by itself.

    Args:
        key: unused, there is nothing random.
        shape: `(2 * f, 2 * f, C, C)`.
        dtype: of the kernel.
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
        dtype: of the computation and of the output; the kernel is float32.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Upsample `[N, H, W, C]` to `[N, 2H, 2W, C]`."""
        channels = x.shape[-1]
        shape = (4, 4, channels, channels)
        kernel = self.param("kernel", bilinear_kernel_init, shape, jnp.float32)
        return deconvolve(x.astype(self.dtype), kernel.astype(self.dtype), crop=1)


def deconvolve(x: jax.Array, kernel: jax.Array, crop: int = 0) -> jax.Array:
    """Deconvolve at stride f with a kernel of twice that size.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[2 * f, 2 * f, C, C']`, as in `Deconv2x`.
        crop: what is cut off the output on every side (the 'pad' of Caffe and PyTorch).

    Returns:
        `[N, f * (H + 1) - 2 * crop, f * (W + 1) - 2 * crop, C']`.
    """
    if computes_on_cpu():
        y = cpu.deconvolve(x, kernel)
        return y[:, crop : y.shape[1] - crop, crop : y.shape[2] - crop]
    size = kernel.shape[0]
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1, 1),
        padding=[(size - 1 - crop, size - 1 - crop)] * 2,
        lhs_dilation=(size // 2, size // 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


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
        x: float of any precision; the result has the same.
        size: height and width.
        align_corners: whether the centres of the corner pixels stay where they are, as in Caffe's
            `Interp`; else the outer edges of the corner pixels do, and the border is repeated.
    """
    for axis, new in zip((1, 2), size, strict=True):
        old = x.shape[axis]
        if align_corners:
            positions = np.arange(new) * ((old - 1) / max(new - 1, 1))
        else:
            positions = (np.arange(new) + 0.5) * (old / new) - 0.5
        x = _interpolate(x, axis, positions)
    return x


def sample_bilinear(x: jax.Array, size: tuple[int, int], step: float) -> jax.Array:
    """Sample `[N, H, W, C]` at every `step`-th pixel from the first on, to `[N, *size, C]`.

    So a map whose feature i lies at pixel 8 * i of the image, as symmetric padding places it, gets
    the image's size with a step of 1/8 and no shift. At sizes 8 * m + 1 that is a resizing with
    `align_corners`; beyond the last feature it is repeated.

    Args:
        x: float of any precision; the result has the same.
        size: height and width.
        step: distance of samples, in pixels of x.
    """
    for axis, new in zip((1, 2), size, strict=True):
        x = _interpolate(x, axis, step * np.arange(new))
    return x


def _interpolate(x: jax.Array, axis: int, positions: np.ndarray) -> jax.Array:
    """Interpolate along an axis at positions in pixels, the border repeated.

    As a product with a matrix of two weights in a row: the gradient is another one, whereas that
    of a gather scatters, which is slow and on a GPU differs from run to run.
    """
    last = x.shape[axis] - 1
    distance = np.abs(np.clip(positions, 0, last)[:, None] - np.arange(last + 1)[None, :])
    weights = np.maximum(1 - distance, 0).astype(np.float32)
    y = jnp.tensordot(
        weights, x.astype(jnp.float32), axes=(1, axis), precision=lax.Precision.HIGHEST
    )
    return jnp.moveaxis(y, 0, axis).astype(x.dtype)
