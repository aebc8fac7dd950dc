"""Convolutions whose gradients are matrix products, for CPUs.

Reverse mode only: `jax.jvp` of a network needs `layers.plain_formulation`. Where a mesh splits H or
W, XLA gathers more than it does for plain words.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gcn_jax.models.layers import plain
from gcn_jax.models.layers.plain import cut

#: With more channels there are too few pixels to work on the gradient of a kernel by rows.
_WIDE = 128
#: Floats in those rows and their moved copies: 2 MiB.
_CACHED = 2**19
#: Taps lie far apart where the image is no longer than this times the dilation. One by one they are
#: faster at 8 times, and not at 16, nor where one side alone is as short.
_FAR = 10


@jax.custom_vjp
def multiply(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """Multiply each pixel by a matrix.

    Args:
        x: `[N, H, W, C]`.
        matrix: `[C, C']`, of x's dtype.

    Returns:
        `[N, H, W, C']` of x's dtype.
    """
    return _multiply(x, matrix)


def _multiply(x, matrix):
    # The pixels are lined up: with four axes XLA writes transposed copies.
    return (x.reshape(-1, x.shape[3]) @ matrix).reshape(*x.shape[:3], matrix.shape[1])


def _multiply_forward(x, matrix):
    return _multiply(x, matrix), (x, matrix)


def _multiply_backward(saved, g):
    x, matrix = saved
    return _multiply(g, matrix.T), _sum_over_pixels(x, g)


multiply.defvjp(_multiply_forward, _multiply_backward)


def _sum_over_pixels(x, g):
    """Return x^T g `[C, C']` for the pixels of `[..., C]` and `[..., C']`, both lined up.

    As (g^T x)^T where C is the larger: XLA's product takes two thirds of the time where the
    operand that it transposes is the narrower one. The barrier keeps it from turning it round.
    """
    x, g = (array.reshape(-1, array.shape[-1]) for array in (x, g))
    if x.shape[1] <= g.shape[1]:
        return x.T @ g
    return lax.optimization_barrier(g.T @ x).T


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(
    x: jax.Array, kernel: jax.Array, strides: int, padding: tuple[int, int], dilation: int
) -> jax.Array:
    """Convolve, with a gradient of the kernel, and some of x, by products.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[kh, kw, C, C']`, of x's dtype.
        strides: Step between output pixels, for both axes.
        padding: Zeros on either side of H and of W.
        dilation: Step between kernel taps, for both axes.

    Returns:
        `[N, H', W', C']` of x's dtype, as from `plain.convolve`.
    """
    return _forward(x, kernel, strides, padding, dilation)


def _forward(x, kernel, strides, padding, dilation):
    how = (strides, padding, dilation)
    if not reaches_far(x, dilation):
        return plain.convolve(x, kernel, *how)
    y = jax.eval_shape(lambda x, kernel: plain.convolve(x, kernel, *how), x, kernel)
    parts = (
        (_multiply(x[seen], kernel[tap]), outputs)
        for tap, seen, outputs in _overlaps(x, y, kernel.shape, *how)
    )
    return _sum_at(parts, y.shape, y.dtype)


def _convolve_forward(x, kernel, strides, padding, dilation):
    return _forward(x, kernel, strides, padding, dilation), (x, kernel)


def _convolve_backward(strides, padding, dilation, saved, g):
    x, kernel = saved
    how = (strides, padding, dilation)
    far = reaches_far(x, dilation)
    if far or strides > 1:
        parts = (
            (_multiply(g[outputs], kernel[tap].T), seen)
            for tap, seen, outputs in _overlaps(x, g, kernel.shape, *how)
        )
        dx = _sum_at(parts, x.shape, x.dtype)
    else:
        (dx,) = jax.linear_transpose(lambda x: plain.convolve(x, kernel, *how), x)(g)
    if far:
        return dx, _far_kernel_gradient(x, g, kernel.shape, *how)
    if strides > 1:
        return dx, _strided_kernel_gradient(x, g, kernel.shape, *how)
    return dx, _kernel_gradient(x, g, kernel.shape, padding, dilation)


convolve.defvjp(_convolve_forward, _convolve_backward)


# ------------------------------------------------------------------ taps one by one
def reaches_far(x: jax.Array, dilation: int) -> bool:
    """Return whether a tenth or more of what outer taps see is padding, on both axes: left out.

    Args:
        x: `[N, H, W, C]`.
        dilation: Step between kernel taps, for both axes.
    """
    return dilation > 1 and _FAR * dilation >= max(x.shape[1:3])


def _overlaps(x, y, shape, strides, padding, dilation):
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


def _sum_at(parts, shape, dtype):
    """Add up arrays, each at its slices of H and W of zeros of a shape; in float32 or finer."""
    total = jnp.zeros(shape, jnp.promote_types(dtype, jnp.float32))
    for part, where in parts:
        config = [(0, 0, 0)] * 4
        for axis in (1, 2):
            place = where[axis]
            config[axis] = (place.start, shape[axis] - place.stop, place.step - 1)
        total += lax.pad(part, jnp.zeros((), part.dtype), config)
    return total.astype(dtype)


def _far_kernel_gradient(x, g, shape, strides, padding, dilation):
    """Multiply once for each tap."""
    taps = {
        tap: _sum_over_pixels(x[seen], g[outputs])
        for tap, seen, outputs in _overlaps(x, g, shape, strides, padding, dilation)
    }
    unseen = jnp.zeros(shape[2:], x.dtype)
    return jnp.stack([taps.get(tap, unseen) for tap in np.ndindex(*shape[:2])]).reshape(shape)


# ------------------------------------------------------------------ taps side by side
def _strided_kernel_gradient(x, g, shape, strides, padding, dilation):
    """Multiply once for each row of the kernel, whose copies of x lie side by side."""
    (kh, kw, *_), (ph, pw) = shape, padding
    height, width = (strides * (size - 1) + 1 for size in g.shape[1:3])
    copies = [cut(x, 2, j * dilation - pw, width)[:, :, ::strides] for j in range(kw)]
    side_by_side = jnp.concatenate(copies, axis=3)
    rows = (cut(side_by_side, 1, i * dilation - ph, height)[:, ::strides] for i in range(kh))
    return jnp.stack([_sum_over_pixels(row, g) for row in rows]).reshape(shape)


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
    x = cut(x, 1, -ph, steps * rows + dilation * (kh - 1))
    g = cut(g, 1, 0, steps * rows)

    def products(step, lined_up, dimensions):
        part = lax.dynamic_slice_in_dim(g, step * rows, rows, axis=1)
        part = gather_shifted(part, 2, [pw - j * dilation for j in range(kw)], width)
        part = part.reshape(*lined_up, kw * c_out)

        def product(i):
            seen = lax.dynamic_slice_in_dim(x, step * rows + i * dilation, rows, axis=1)
            seen = seen.reshape(*lined_up, c_in)
            return lax.dot_general(seen, part, dimensions, preferred_element_type=jnp.float32)

        return jnp.stack([product(i) for i in range(kh)], axis=-3)

    if steps == 1:
        total = products(0, (-1,), (((0,), (0,)), ((), ())))
    else:
        sums = jnp.zeros((n, kh, c_in, kw * c_out), jnp.float32)

        def add(step, sums):
            return sums + products(step, (n, rows * width), (((1,), (1,)), ((0,), (0,))))

        total = lax.fori_loop(0, steps, add, sums).sum(0)
    return total.reshape(kh, c_in, kw, c_out).transpose(0, 2, 1, 3).astype(x.dtype)


# ------------------------------------------------------------------ helpers
def gather_shifted(x: jax.Array, axis: int, starts: Sequence[int], length: int) -> jax.Array:
    """Put windows of an axis side by side, as groups of channels.

    Args:
        x: `[N, H, W, C]`.
        axis: 1 or 2.
        starts: Where each window begins; outside there are zeros.
        length: The length of all windows.

    Returns:
        An array of x's dtype with `len(starts) * C` channels, whose axis has that length.
    """
    return jnp.concatenate([cut(x, axis, start, length) for start in starts], axis=3)
