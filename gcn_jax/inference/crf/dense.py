"""Dense CRF on images of any sizes, with few compilations.

All pixels of a batch are one set of points, and so are the vertices of its lattices. Their numbers
are padded to a few sizes; XLA compiles for those, not for the sizes of images.
"""

import functools
from collections.abc import Sequence

import jax
import numpy as np

from gcn_jax.errors import UserError
from gcn_jax.inference.crf.lattice import Lattice, build_lattice, join_lattices
from gcn_jax.inference.crf.mean_field import mean_field
from gcn_jax.inference.crf.parameters import CRFParameters
from gcn_jax.models.preprocessing import as_rgb

#: Numbers of points, and of vertices, that are compiled for, from a power of two to the next.
_POINT_SIZES, _VERTEX_SIZES = 4, 2
#: The smallest number of points or vertices that is compiled for.
_MIN_SIZE = 1024
#: The lattice takes features below this many standard deviations.
_MAX_FEATURE = 2**20
#: How far from 0..1 a probability may lie: sums of rounded ones pass 1.
_TOLERANCE = 1e-2


def dense_crf(
    probabilities: np.ndarray | jax.Array, image: np.ndarray, parameters: CRFParameters
) -> np.ndarray:
    """Refine the class probabilities of one image with a dense CRF.

    Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
    Potentials" (2011).

    Args:
        probabilities: float `[H, W, C]`, at least 0 and at most 1.
        image: uint8 `[H, W, 3]` RGB; of other channels, or uint16, what `as_rgb` makes of it.
        parameters: Those of the CRF.

    Returns:
        float32 `[H, W, C]`: the marginals, which sum to one.

    Raises:
        UserError: As `dense_crf_batch` does.

    Example:
        >>> marginals = dense_crf(probabilities, image, crf_parameters("deeplab_v2_resnet101"))
        >>> prediction = marginals.argmax(axis=-1)
    """
    if np.ndim(probabilities) != 3:
        raise UserError(
            f"probabilities have the shape {np.shape(probabilities)}, not [H, W, C]; "
            "dense_crf_batch takes a batch"
        )
    return dense_crf_batch([np.asarray(probabilities)], [image], parameters)[0]


def dense_crf_batch(
    probabilities: Sequence[np.ndarray] | np.ndarray | jax.Array,
    images: Sequence[np.ndarray] | np.ndarray,
    parameters: CRFParameters,
    sizes: Sequence[tuple[int, int]] | None = None,
) -> list[np.ndarray]:
    """Refine the class probabilities of a batch: in one call of a compiled function, but on a CPU.

    The lattices are built on the host, the mean field runs on JAX's default device. The lattice of
    the Gaussian kernel depends on an image's size alone and is kept for the next such image.

    Args:
        probabilities: float `[N, H, W, C]`, or N arrays `[H, W, C]` of any sizes.
        images: uint8 `[N, H, W, 3]` RGB, or N arrays `[H, W, 3]`; or others, see `dense_crf`.
        parameters: Those of the CRF.
        sizes: (height, width) of each image without padding at the bottom and the right, which has
            no influence; at most N, the rest is padding. If None, nothing is.

    Returns:
        float32 [height, width, C] for each of the sizes: the marginals.

    Raises:
        UserError: An image is no such array, or not of its probabilities' size; these are
            not in 0..1, or not of the same classes; or the standard deviations are far too small.
    """
    if isinstance(probabilities, jax.Array):
        probabilities = np.asarray(probabilities)  # one transfer, not one a row
    if len(probabilities) != len(images):
        raise UserError(f"{len(probabilities)} probabilities for {len(images)} images of a CRF")
    for pair in zip(probabilities, images, strict=True):
        _check_shapes(*pair)
    if sizes is None:
        sizes = [image.shape[:2] for image in images]
    inputs = [
        (p[:h, :w], image[:h, :w])
        for p, image, (h, w) in zip(probabilities, images, sizes, strict=False)
    ]
    for p, _ in inputs:
        _check_probabilities(p, num_classes=probabilities[0].shape[-1])
    together = _images_together(len(inputs))
    groups = [inputs[i : i + together] for i in range(0, len(inputs), together)]
    running = [_start(group, parameters) for group in groups]
    return [
        part
        for group, marginals in zip(groups, running, strict=True)
        for part in _split(np.asarray(marginals), group)
    ]


def _images_together(count: int) -> int:
    """How many of so many images one call computes."""
    # A CPU is quicker with one image after another, which its caches hold; and while it works on
    # one, the lattice of the next is built.
    return 1 if jax.default_backend() == "cpu" else count


def _start(inputs: Sequence[tuple[np.ndarray, np.ndarray]], parameters: CRFParameters) -> jax.Array:
    """Start the mean field of all pixels of (probabilities, image) pairs: float32 [P, C]."""
    pixels = [p.reshape(-1, p.shape[-1]) for p, _ in inputs]
    count = sum(map(len, pixels))
    num_points = _padded_size(count + 1, _POINT_SIZES)
    points = np.zeros((num_points, pixels[0].shape[1]), np.float32)
    np.concatenate(pixels, out=points[:count])
    gaussian = [_gaussian_lattice(*p.shape[:2], parameters.gaussian_sxy) for p, _ in inputs]
    bilateral = [_bilateral_lattice(image, parameters) for _, image in inputs]
    return mean_field(
        points,
        [_join(lattices, num_points) for lattices in (gaussian, bilateral)],
        np.array([parameters.gaussian_weight, parameters.bilateral_weight], np.float32),
        parameters.iterations,
    )


def _split(
    marginals: np.ndarray, inputs: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[np.ndarray]:
    """Undo the joining of pixels: float32 [P, C] to [H, W, C] of each pair."""
    shapes = [p.shape for p, _ in inputs]
    ends = np.cumsum([height * width for height, width, _ in shapes])
    parts = np.split(marginals[: ends[-1]], ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _check_shapes(probabilities: np.ndarray, image: np.ndarray) -> None:
    if image.dtype not in (np.uint8, np.uint16) or image.ndim != 3 or not image.size:
        raise UserError(
            "the image of a CRF must be uint8 or uint16 [H, W, C], not "
            f"{image.dtype} {list(image.shape)}"
        )
    if probabilities.ndim != 3 or probabilities.shape[:2] != image.shape[:2]:
        raise UserError(
            f"probabilities {list(probabilities.shape)} are not [H, W, C] of the size of their "
            f"image, {list(image.shape[:2])}"
        )


def _check_probabilities(probabilities: np.ndarray, num_classes: int) -> None:
    """Refuse what is no probability: a single nan would spread over its image."""
    if probabilities.shape[-1] != num_classes:
        raise UserError(
            f"probabilities of one batch have {num_classes} classes and {probabilities.shape[-1]}"
        )
    low, high = float(probabilities.min()), float(probabilities.max())
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):  # nan is neither
        raise UserError(
            f"probabilities of a CRF lie in 0..1, but these range from {low:g} to {high:g}; "
            "of logits, take the softmax; nan comes from a model that has diverged"
        )


def _join(lattices: Sequence[Lattice], num_points: int):
    num_vertices = sum(len(lattice.degrees) for lattice in lattices)
    return join_lattices(lattices, num_points, _padded_size(num_vertices + 1, _VERTEX_SIZES))


def _padded_size(count: int, sizes_per_octave: int) -> int:
    """Round a number up to one of the sizes that are compiled for."""
    octave = 2 ** (count - 1).bit_length() // 2
    step = max(octave // sizes_per_octave, _MIN_SIZE)
    return -(-count // step) * step


def _bilateral_lattice(image: np.ndarray, parameters: CRFParameters) -> Lattice:
    positions = _scaled(_positions(*image.shape[:2]), parameters.bilateral_sxy)
    colors = _scaled(as_rgb(image).reshape(-1, 3).astype(np.float32), parameters.bilateral_srgb)
    return build_lattice(np.concatenate([positions, colors], axis=1))


@functools.lru_cache(maxsize=32)  # 10 MB each at 500 x 375
def _gaussian_lattice(height: int, width: int, sxy: float) -> Lattice:
    return build_lattice(_scaled(_positions(height, width), sxy))


def _scaled(features: np.ndarray, deviation: float) -> np.ndarray:
    """Return features, float32 and not negative, in standard deviations."""
    if not features.max() < _MAX_FEATURE * deviation:
        raise UserError(
            f"a standard deviation of the CRF (sxy, srgb) is {deviation:g}, too small for an image "
            f"with values up to {features.max():g}; use a larger one"
        )
    return features / np.float32(deviation)


def _positions(height: int, width: int) -> np.ndarray:
    """Return (x, y) of the pixels, row by row: float32 [height * width, 2]."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
