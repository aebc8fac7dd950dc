"""3 x 3 convolutions by minimal filtering, for CPUs: 16 products in place of 36.

F(2 x 2, 3 x 3) of Winograd (1980), as in section 4.1 of Lavin and Gray (2016, "Fast Algorithms for
Convolutional Neural Networks"): an image is cut into tiles of 4 x 4 pixels that overlap by two.
Tiles and kernel are transformed, multiplied at each of the 16 positions (there channels are summed,
so that it is a product of matrices), and transformed back to 2 x 2 outputs. Transformed tiles are
four times the image; a large one is worked on by bands of rows that stay in the cache.

Reverse mode only, as `products.py`, and for meshes the same holds as there.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gcn_jax.models.layers.cpu.products import reaches_far
from gcn_jax.models.layers.plain import cut

#: G in the paper, the transform of a kernel along one axis, and along both: 9 taps to 16 positions,
#: those along W before those along H, as tiles come out of their transform without a copy.
_KERNEL_1D = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
_KERNEL_2D = np.kron(_KERNEL_1D, _KERNEL_1D).reshape(4, 4, 9).swapaxes(0, 1).reshape(16, 9)
#: Where the positions of a kernel go that is turned by 180 degrees.
_TURNED = np.arange(16).reshape(4, 4)[np.ix_([3, 1, 2, 0], [3, 1, 2, 0])].ravel()

#: With fewer channels, on the narrower and the wider side, the transforms of tiles take longer than
#: the products that they save.
_FEWEST_CHANNELS = (64, 128)
#: With fewer outputs, four a tile, that of the kernel does.
_FEWEST_OUTPUTS = 256
#: Floats in the transformed tiles that are worked on at once, 24 MiB, and in a band of more, 4 MiB,
#: or as many as in the transformed kernel, which each band reads.
_AT_ONCE, _IN_BAND = 3 * 2**21, 2**20


def pays(x: jax.Array, kernel: jax.Array, padding: tuple[int, int], dilation: int) -> bool:
    """Return whether a 3 x 3 convolution of stride 1 is faster in this way.

    It is for float32 alone: the sums and differences of bfloat16 would lose what it has left. And
    not where taps lie so far apart that tiles of every `dilation`-th pixel are padding for the most
    part.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[kh, kw, C, C']`.
        padding: Zeros on either side of H and of W.
        dilation: Step between kernel taps, for both axes.
    """
    channels = zip(sorted(kernel.shape[2:]), _FEWEST_CHANNELS, strict=True)
    height, width = (max(0, size) for size in _output_size(x, padding, dilation))
    return (
        x.dtype == jnp.float32
        and kernel.shape[:2] == (3, 3)
        and all(count >= fewest for count, fewest in channels)
        and x.shape[0] * height * width >= _FEWEST_OUTPUTS
        and all(p % dilation == 0 for p in padding)
        and not reaches_far(x, dilation)
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(x: jax.Array, kernel: jax.Array, padding: tuple[int, int], dilation: int) -> jax.Array:
    """Convolve at stride 1, where it `pays`.

    Args:
        x: float32 `[N, H, W, C]`.
        kernel: float32 `[3, 3, C, C']`.
        padding: Zeros on either side of H and of W, multiples of the dilation.
        dilation: Step between kernel taps, for both axes.

    Returns:
        float32 `[N, H', W', C']`, as from `plain.convolve`.
    """
    return _forward(x, kernel, padding, dilation)


def _forward(x, kernel, padding, dilation):
    kernel = _transform_kernel(kernel, _KERNEL_2D)
    y = _filter(_phases(x, dilation), kernel, [p // dilation for p in padding])
    return _image(y, dilation, _output_size(x, padding, dilation))


def _convolve_forward(x, kernel, padding, dilation):
    return _forward(x, kernel, padding, dilation), (x, kernel)


def _convolve_backward(padding, dilation, saved, g):
    x, kernel = saved
    padding = [p // dilation for p in padding]
    g = _phases(g, dilation)
    turned = _transform_kernel(kernel, _KERNEL_2D[_TURNED])
    dx = _filter(g, turned, [2 - p for p in padding], transposed=True)
    dx = _image(dx, dilation, x.shape[1:3])
    return dx, _kernel_gradient(_phases(x, dilation), g, padding)


convolve.defvjp(_convolve_forward, _convolve_backward)


def _phases(x, dilation):
    """Take pixels apart by their number modulo the dilation: they see each other alone.

    `[N, H, W, C]` becomes as many images, `[N d d, ceil(H / d), ceil(W / d), C]`.
    """
    n, height, width, c = x.shape
    h, w = -(-height // dilation), -(-width // dilation)
    x = _fit(x, (0, 0), h * dilation, w * dilation).reshape(n, h, dilation, w, dilation, c)
    return x.transpose(0, 2, 4, 1, 3, 5).reshape(-1, h, w, c)


def _image(phases, dilation, size):
    """Put pixels together again, as an image of a size."""
    images, h, w, c = phases.shape
    x = phases.reshape(images // dilation**2, dilation, dilation, h, w, c)
    x = x.transpose(0, 3, 1, 4, 2, 5).reshape(-1, h * dilation, w * dilation, c)
    return x[:, : size[0], : size[1]]


def _filter(x, kernel, padding, *, transposed=False):
    """Convolve with a transformed kernel `[16, C, C']`, or, transposed, from C' to C channels."""
    size, (_, c_in, c_out) = _output_size(x, padding), kernel.shape
    # Transposed by the product: XLA's copy of a transposed kernel takes as long as the product.
    product, c_out = ("ptd,pcd->ptc", c_in) if transposed else ("ptc,pcd->ptd", c_out)
    bands, rows, columns = _tiling(x, size, c_out)
    x = _fit(x, padding, 2 * rows * bands + 2, 2 * columns + 2)

    def band(i):
        tiles = _transform_tiles(lax.dynamic_slice_in_dim(x, 2 * rows * i, 2 * rows + 2, axis=1))
        products = jnp.einsum(product, tiles, kernel)
        return _transform_back(products, x.shape[0], rows, columns)

    if bands == 1:
        y = band(0)
    else:
        y = jnp.zeros((x.shape[0], 2 * rows * bands, 2 * columns, c_out), x.dtype)

        def put(i, y):
            return lax.dynamic_update_slice_in_dim(y, band(i), 2 * rows * i, axis=1)

        y = lax.fori_loop(0, bands, put, y)
    return y[:, : size[0], : size[1]]


def _kernel_gradient(x, g, padding):
    """Multiply transformed tiles of x by those of the outputs' gradient g.

    Each device has a sum of its own, so that they speak once, and not after every band; on a mesh
    of some of the devices this holds where its size divides their number.
    """
    (n, *size, c_out), c_in = g.shape, x.shape[3]
    devices = math.gcd(n, jax.device_count())
    bands, rows, columns = _tiling(x, size, c_out)
    x = _fit(x, padding, 2 * rows * bands + 2, 2 * columns + 2)
    g = _fit(g, (0, 0), 2 * rows * bands, 2 * columns)

    def band(i):
        tiles = _transform_tiles(lax.dynamic_slice_in_dim(x, 2 * rows * i, 2 * rows + 2, axis=1))
        outputs = _spread_outputs(lax.dynamic_slice_in_dim(g, 2 * rows * i, 2 * rows, axis=1))
        tiles, outputs = (t.reshape(16, devices, -1, t.shape[2]) for t in (tiles, outputs))
        return jnp.einsum("pntc,pntd->pncd", tiles, outputs)

    if bands == 1:
        total = band(0)
    else:
        total = jnp.zeros((16, devices, c_in, c_out), x.dtype)
        total = lax.fori_loop(0, bands, lambda i, total: total + band(i), total)
    return (_KERNEL_2D.T @ total.sum(1).reshape(16, -1)).reshape(3, 3, c_in, c_out)


# --------------------------------------------------------------------------- the transforms
def _transform_kernel(kernel, matrix):
    """Return G k G^T `[16, C, C']` for all channels; the matrix is `_KERNEL_2D` or it turned."""
    return (matrix @ kernel.reshape(9, -1)).reshape(16, *kernel.shape[2:])


def _transform_tiles(x):
    """Return B^T d B `[16, tiles, C]` for the tiles d of `[N, 2 h + 2, 2 w + 2, C]`."""

    def transform(x, axis):
        count = x.shape[axis] // 2 - 1
        d = [lax.slice_in_dim(x, i, i + 2 * count - 1, 2, axis) for i in range(4)]
        return jnp.stack([d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]])

    # Along H first, as an array of its own: at once, all is computed from the image 16 times.
    return transform(transform(x, 1), 3).reshape(16, -1, x.shape[3])


def _transform_back(products, n, rows, columns):
    """Return `[N, 2 h, 2 w, C']`: A^T m A for each tile m of `[16, tiles, C']`."""

    def transform(m):
        return jnp.stack([m[0] + m[1] + m[2], m[1] - m[2] - m[3]])

    m = products.reshape(4, 4, n, rows, columns, -1)
    y = transform(transform(m).swapaxes(0, 1))  # [2 of H, 2 of W, N, h, w, C']
    return y.transpose(2, 3, 0, 4, 1, 5).reshape(n, 2 * rows, 2 * columns, -1)


def _spread_outputs(g):
    """Return A g A^T `[16, tiles, C']`, the transpose of `_transform_back`."""

    def spread(g, axis):
        first, second = (lax.slice_in_dim(g, i, None, 2, axis) for i in range(2))
        return jnp.stack([first, first + second, first - second, -second])

    return spread(spread(g, 1), 3).reshape(16, -1, g.shape[3])


# ------------------------------------------------------------------------------- the tiling
def _output_size(x, padding, dilation=1):
    return [size + 2 * (p - dilation) for size, p in zip(x.shape[1:3], padding, strict=True)]


def _tiling(x, size, c_out):
    """Return the number of bands, the rows of tiles in a band, and the tiles in a row."""
    (n, *_, c_in), (rows, columns) = x.shape, (-(-length // 2) for length in size)
    in_row = 16 * n * columns * max(c_in, c_out)
    if rows * in_row <= _AT_ONCE:
        return 1, rows, columns
    bands = -(-rows // max(1, max(_IN_BAND, 16 * c_in * c_out) // in_row))
    return bands, -(-rows // bands), columns


def _fit(x, padding, height, width):
    """Give an array a size, after so much padding before H and W."""
    return cut(cut(x, 1, -padding[0], height), 2, -padding[1], width)
