"""Convolution, deconvolution, max-pooling and ReLU as XLA computes them fastest on a CPU.

XLA on a CPU is good at matrix products, and at convolutions whose channels fill its vectors; its
gradients of convolutions and of pooling often are not. So these functions say the same in other
words. `layers.py` chooses between them and the plain formulation, to which results and gradients
are equal up to rounding; `docs/performance.md` has what each is worth.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

#: Channels are padded to a multiple of this: floats in half a vector of AVX-512.
_LANES = 8
#: With more channels padding costs more than it gains.
_NARROW = 32
#: With more, a convolution has too few pixels to work on the gradient of its kernel by rows.
_WIDE = 128
#: Floats in those rows and their moved copies: 2 MiB.
_CACHED = 2**19
#: Taps lie far apart where the image is no larger than this times the dilation.
_FAR = 10


def multiply(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """Multiply each pixel of `[N, H, W, C]` by a matrix `[C, C']`.

    The pixels are lined up first: with four axes XLA writes a transposed copy of the gradient
    before it multiplies for that of the matrix, which takes longer than the product.
    """
    return (x.reshape(-1, x.shape[3]) @ matrix).reshape(*x.shape[:3], matrix.shape[1])


def relu(x: jax.Array) -> jax.Array:
    """Return x where it is not negative, else 0, with gradient 0 at 0.

    Not a maximum, which XLA computes again in everything that reads it: so it would add up the
    shortcuts of all residual blocks before, in each block.
    """
    return jnp.where(x <= 0, 0, x)


def convolve(
    x: jax.Array, kernel: jax.Array, strides: int, padding: tuple[int, int], dilation: int
) -> jax.Array:
    """Convolve.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[kh, kw, C, C']`.
        strides: step between output pixels, for both axes.
        padding: zeros on either side of H and of W.
        dilation: step between kernel taps, for both axes.

    Returns:
        `[N, H', W', C']`; at stride 1 H' is `H + 2 * padding[0] - dilation * (kh - 1)`, and W'
        likewise.
    """
    kh, kw, c_in, c_out = kernel.shape
    how = (padding, strides, dilation)
    if strides > 1:
        return _convolve(x, kernel, *how)
    if c_in >= 4 * c_out and (min(kh, kw) == 1 or c_out <= _NARROW):
        return _convolve_by_taps(x, kernel, padding, dilation)
    if max(c_in, c_out) > _NARROW:
        if min(kh, kw) >= 5 and padding == (0, 0) and dilation == 1:
            return _convolve_by_windows(x, kernel)
        return (_convolve if kh == kw == 3 else _plain)(x, kernel, *how)
    kernel = _pad_channels(_pad_channels(kernel, axis=2), axis=3)
    conv = _plain if min(kh, kw) == 1 else _convolve
    return conv(_pad_channels(x, axis=3), kernel, *how)[..., :c_out]


def deconvolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Deconvolve `[N, H, W, C]` with `[2f, 2f, C, C']` at stride f to `[N, f(H+1), f(W+1), C']`.

    Output pixels of one phase (their number modulo f) see 2 x 2 inputs, through every f-th tap. So
    all f x f phases are one 2 x 2 convolution with f * f times the channels, and then laid between
    each other.
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
    y = _convolve(x, taps, (1, 1), 1, 1).reshape(n, height + 1, width + 1, f, f, padded)
    y = y.transpose(0, 1, 3, 2, 4, 5).reshape(n, f * (height + 1), f * (width + 1), padded)
    return y[..., :c_out]


def max_pool(
    x: jax.Array, window: int, strides: int, padding: int, size: Sequence[int]
) -> jax.Array:
    """Max-pool `[N, H, W, C]` to a size (H', W'), along W and then along H; NaN if there is one.

    The gradient goes to the first maximum of a window in reading order, as XLA's own does.
    """
    for axis in (2, 1):
        length = strides * (size[axis - 1] - 1) + 1
        slices = (_window(x, axis, i - padding, length, fill=-jnp.inf) for i in range(window))
        first, *others = (lax.slice_in_dim(s, 0, None, strides, axis) for s in slices)
        for other in others:
            first = jnp.where((first >= other) | jnp.isnan(first), first, other)
        x = first
    return x


def _plain(x, kernel, padding, strides, dilation):
    return lax.conv_general_dilated(
        x,
        kernel,
        (strides, strides),
        [(p, p) for p in padding],
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


# ------------------------------------------------------------------------------- many to few
def _convolve_by_taps(x, kernel, padding, dilation):
    """One matrix product gives what each pixel adds to its neighbours; then these are added."""
    c_in = x.shape[3]
    taps = kernel.transpose(2, 1, 0, 3).reshape(c_in, -1)
    y = _add_shifted(multiply(x, taps), 2, kernel.shape[1], padding[1], dilation)
    return _add_shifted(y, 1, kernel.shape[0], padding[0], dilation)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _add_shifted(y: jax.Array, axis: int, k: int, padding: int, dilation: int) -> jax.Array:
    """Add k groups of channels, group i moved back along the axis by i * dilation - padding."""
    length = y.shape[axis] + 2 * padding - dilation * (k - 1)
    groups = jnp.split(y, k, axis=3)
    return sum(_window(g, axis, i * dilation - padding, length) for i, g in enumerate(groups))


def _add_shifted_forward(y, axis, k, padding, dilation):
    return _add_shifted(y, axis, k, padding, dilation), y.shape[axis]


def _add_shifted_backward(axis, k, padding, dilation, length, g):
    # Left to itself JAX pads every group of the gradient to all k groups, and adds these.
    return (_gather_shifted(g, axis, [padding - i * dilation for i in range(k)], length),)


_add_shifted.defvjp(_add_shifted_forward, _add_shifted_backward)


# ------------------------------------------------------------- large kernels, many channels
def _convolve_by_windows(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """One matrix product of copied windows, without padding: dense layers as convolutions.

    XLA's gradient of x takes 30 times as long for VGG's fc6, whose outputs have many channels.
    """
    kh, kw, _, c_out = kernel.shape
    height, width = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    x = _gather_shifted(x, 2, range(kw), width)
    x = _gather_shifted(x, 1, range(kh), height)
    return multiply(x, kernel.reshape(-1, c_out))


# ------------------------------------------------- strided, few channels, or 3 x 3
@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _convolve(
    x: jax.Array, kernel: jax.Array, padding: tuple[int, int], strides: int, dilation: int
) -> jax.Array:
    """Matrix products give the gradient of the kernel and, strided or far apart, that of x."""
    if not _reaches_far(x, dilation):
        return _plain(x, kernel, padding, strides, dilation)
    sizes = [
        (size + 2 * p - dilation * (k - 1) - 1) // strides + 1
        for size, p, k in zip(x.shape[1:3], padding, kernel.shape, strict=False)
    ]
    y = jnp.zeros((x.shape[0], *sizes, kernel.shape[3]), x.dtype)
    for tap, seen, outputs in _overlaps(x, y, kernel.shape, padding, strides, dilation):
        y += _spread(multiply(x[seen], kernel[tap]), outputs, y.shape)
    return y


def _convolve_forward(x, kernel, padding, strides, dilation):
    return _convolve(x, kernel, padding, strides, dilation), (x, kernel)


def _convolve_backward(padding, strides, dilation, saved, g):
    x, kernel = saved
    how = (padding, strides, dilation)
    far = _reaches_far(x, dilation)
    if far or strides > 1:
        dx = jnp.zeros_like(x)
        for tap, seen, outputs in _overlaps(x, g, kernel.shape, *how):
            dx += _spread(multiply(g[outputs], kernel[tap].T), seen, x.shape)
    else:
        (dx,) = jax.linear_transpose(lambda x: _plain(x, kernel, *how), x)(g)
    if far:
        return dx, _far_kernel_gradient(x, g, kernel.shape, *how)
    if strides > 1:
        return dx, _strided_kernel_gradient(x, g, kernel.shape, *how)
    return dx, _kernel_gradient(x, g, kernel.shape, padding, dilation)


def _reaches_far(x, dilation):
    """Return whether taps lie so far apart that many see zeros alone, which are left out then."""
    return dilation > 1 and _FAR * dilation >= max(x.shape[1:3])


def _overlaps(x, y, shape, padding, strides, dilation):
    """Yield each tap, the slices of x that it sees, and those of the outputs y that see them."""
    for tap in np.ndindex(*shape[:2]):
        seen, outputs = [slice(None)], [slice(None)]
        for axis, i, p in zip((1, 2), tap, padding, strict=True):
            offset, size = i * dilation - p, x.shape[axis]
            first = max(0, -(offset // strides))
            end = min(y.shape[axis], -((offset - size) // strides))
            outputs.append(slice(first, end, 1))
            start = first * strides + offset
            seen.append(slice(start, start + strides * (end - first - 1) + 1, strides))
        if all(part.start < part.stop for part in outputs[1:]):
            yield tap, tuple(seen), tuple(outputs)


def _spread(part, where, shape):
    """Put an array at the slices `where` of zeros of a shape, of which H and W are used."""
    config = [(0, 0, 0)] * 4
    for axis in (1, 2):
        place = where[axis]
        config[axis] = (place.start, shape[axis] - place.stop, place.step - 1)
    return lax.pad(part, jnp.zeros((), part.dtype), config)


def _far_kernel_gradient(x, g, shape, padding, strides, dilation):
    """Multiply once for each tap."""
    c_in, c_out = shape[2:]
    taps = {
        tap: x[seen].reshape(-1, c_in).T @ g[outputs].reshape(-1, c_out)
        for tap, seen, outputs in _overlaps(x, g, shape, padding, strides, dilation)
    }
    unseen = jnp.zeros((c_in, c_out), x.dtype)
    return jnp.stack([taps.get(tap, unseen) for tap in np.ndindex(*shape[:2])]).reshape(shape)


def _strided_kernel_gradient(x, g, shape, padding, strides, dilation):
    """Multiply once for each row of the kernel, whose copies of x lie side by side."""
    (kh, kw, c_in, c_out), (ph, pw) = shape, padding
    height, width = (strides * (size - 1) + 1 for size in g.shape[1:3])
    copies = [_window(x, 2, j * dilation - pw, width)[:, :, ::strides] for j in range(kw)]
    copies = jnp.concatenate(copies, axis=3)
    rows = (_window(copies, 1, i * dilation - ph, height)[:, ::strides] for i in range(kh))
    lined_up = g.reshape(-1, c_out)
    return jnp.stack([row.reshape(-1, kw * c_in).T @ lined_up for row in rows]).reshape(shape)


def _kernel_gradient(x, g, shape, padding, dilation):
    """Sum x[h + i * d - ph, w + j * d - pw] * g[h, w] over h, w for every tap (i, j).

    d is the dilation. j moves g, whose copies lie side by side, and there is one product for each
    i, whose rows of x are in their order already. Few channels are many pixels: a few rows of the
    image at a time, so that the copies stay in the cache. Each image has a sum of its own
    meanwhile, so that devices with an image each need to speak once, and not after every few rows.
    """
    (kh, kw, c_in, c_out), (ph, pw), (n, _, width, _) = shape, padding, x.shape
    rows = height = g.shape[1]
    if max(c_in, c_out) <= _WIDE:
        rows = min(rows, max(1, _CACHED // (n * width * (c_in + kw * c_out))))
    steps = -(-height // rows)
    x = _window(x, 1, -ph, steps * rows + dilation * (kh - 1))
    g = _window(g, 1, 0, steps * rows)

    def products(step, lined_up, dimensions):
        part = lax.dynamic_slice_in_dim(g, step * rows, rows, axis=1)
        part = _gather_shifted(part, 2, [pw - j * dilation for j in range(kw)], width)
        part = part.reshape(*lined_up, kw * c_out)
        moved = (
            lax.dynamic_slice_in_dim(x, step * rows + i * dilation, rows, axis=1) for i in range(kh)
        )
        products = [
            lax.dot_general(
                x.reshape(*lined_up, c_in), part, dimensions, preferred_element_type=jnp.float32
            )
            for x in moved
        ]
        return jnp.stack(products, axis=-3)

    if steps == 1:
        total = products(0, (-1,), (((0,), (0,)), ((), ())))
    else:
        sums = jnp.zeros((n, kh, c_in, kw * c_out), jnp.float32)

        def add(step, sums):
            return sums + products(step, (n, rows * width), (((1,), (1,)), ((0,), (0,))))

        total = lax.fori_loop(0, steps, add, sums).sum(0)
    return total.reshape(kh, c_in, kw, c_out).transpose(0, 2, 1, 3).astype(x.dtype)


_convolve.defvjp(_convolve_forward, _convolve_backward)


# ----------------------------------------------------------------------------------- helpers
def _window(x: jax.Array, axis: int, start: int, length: int, fill: float = 0.0) -> jax.Array:
    """Take `length` elements of an axis from `start` on, which may lie outside."""
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (-start, start + length - x.shape[axis], 0)
    return lax.pad(x, jnp.asarray(fill, x.dtype), config)


def _gather_shifted(x: jax.Array, axis: int, starts: Sequence[int], length: int) -> jax.Array:
    """Put windows of an axis side by side, as groups of channels."""
    return jnp.concatenate([_window(x, axis, start, length) for start in starts], axis=3)


def _pad_channels(x: jax.Array, axis: int) -> jax.Array:
    return _window(x, axis, 0, -(-x.shape[axis] // _LANES) * _LANES)
