"""Kernels of PyTorch's and Caffe's deconvolutions."""

import numpy as np

from gcn_jax.models.layers import bilinear_taps

#: By how much a kernel may differ from bilinear interpolation, by rounding.
_ROUNDING = 1e-6


def as_convolution(kernel: np.ndarray) -> np.ndarray:
    """Turn a deconvolution's kernel into that of the convolution over the dilated input.

    Args:
        kernel: `[in, out, kh, kw]`, as PyTorch and Caffe have it.

    Returns:
        `[out, in, kh, kw]`, flipped along both axes of the image.
    """
    return kernel.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]


def is_bilinear(kernel: np.ndarray) -> bool:
    """Whether a deconvolution interpolates each channel by itself, as FCN's fixed ones do.

    Args:
        kernel: `[C, C, 2f, 2f]`.
    """
    if kernel.ndim != 4 or len({*kernel.shape[:2]}) > 1 or len({*kernel.shape[2:]}) > 1:
        return False
    channels, size = kernel.shape[0], kernel.shape[2]
    if size % 2:
        return False
    taps = bilinear_taps(size // 2)
    expected = np.einsum("io,h,w->iohw", np.eye(channels), taps, taps)
    return bool(np.allclose(kernel, expected, rtol=0, atol=_ROUNDING))
