"""The valid receptive field: where an image must not be covered for a score to stay.

Zhou et al., *Object Detectors Emerge in Deep Scene CNNs*, ICLR 2015, section 3.2: the image is
replicated with a small patch of random values at every place of a dense grid, and the change of a
unit's value, the discrepancy, is recorded for each place. *Large Kernel Matters* calls what comes
out the valid receptive field.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from gcn_jax.analysis.receptive_field.units import Unit, check_unit
from gcn_jax.errors import UserError
from gcn_jax.models.pretrained.predict import logits

Array = jax.Array | np.ndarray

#: Side of the patch and step of the grid, in pixels, of Zhou et al. for images of about 227 pixels.
PATCH, STRIDE = 11, 3


class Stimulus(NamedTuple):
    """An image with one patch of noise on it, and what that does to a unit.

    Attributes:
        image: uint8 or uint16 `[H, W, C]`, covered.
        box: (top, left, bottom, right), the first and last rows and columns of the patch.
        plain: The unit's logit in the image as it is.
        covered: The unit's logit in this image.
    """

    image: np.ndarray
    box: tuple[int, int, int, int]
    plain: float
    covered: float


def valid_field(
    model: nn.Module,
    variables: dict[str, Any],
    image: np.ndarray,
    unit: Unit,
    *,
    patch: int = PATCH,
    stride: int = STRIDE,
    box: tuple[int, int, int, int] | None = None,
    seed: int = 0,
    batch_size: int = 32,
) -> tuple[np.ndarray, Stimulus]:
    """Compute the discrepancy map of a unit.

    For maps of one object at several scales to be alike, patch and stride are to grow with it.

    Args:
        model: A segmentation network of this package.
        variables: The variables of `from_pretrained`, with `preprocessing`.
        image: uint8 or uint16 `[H, W, C]`, as the network takes it.
        unit: The score that is watched.
        patch: Side of the square that is covered, in pixels.
        stride: Step between the places of the patch, in pixels; the last ones touch the border.
        box: First row, first column, last row and last column of the unit's theoretical receptive
            field, where it is known: patches beside it cannot change anything, and are left out.
        seed: The seed of the random values, uniform in the type's range, independent at every
            place.
        batch_size: How many places are tried at a time.

    Returns:
        float32 `[H, W]`, the mean |change of the logit| over all patches that cover a pixel; and
            the stimulus that changes the logit most.

    Raises:
        UserError: The patches do not cover the image, or see `check_unit`.
    """
    height, width = image.shape[:2]
    check_unit(unit, (height, width), model.num_classes)
    if not 1 <= stride <= patch <= min(height, width):
        raise UserError(
            f"patches of {patch} pixels at stride {stride} do not cover {width} x {height} pixels; "
            "give 1 <= stride <= patch <= the shorter side of the image"
        )
    corners = _corners(height, patch, stride), _corners(width, patch, stride)
    places = np.stack(np.meshgrid(*corners, indexing="ij"), axis=-1).reshape(-1, 2)
    changes = np.zeros(len(places))  # signed
    top, left, bottom, right = box or (0, 0, height - 1, width - 1)
    tried = (places + patch > [top, left]).all(axis=1) & (places <= [bottom, right]).all(axis=1)
    for batch in np.array_split(np.flatnonzero(tried), range(batch_size, tried.sum(), batch_size)):
        chosen = np.resize(batch, batch_size)  # the last batch is filled up with its own places
        seeds = seed + chosen
        plain, covered = _scores(model, variables, image, unit, places[chosen], seeds, patch)
        changes[chosen] = covered - plain
    most = np.abs(changes).argmax()
    row, column = places[most].tolist()
    stimulus = Stimulus(
        np.asarray(_cover(image, places[most], seed + most, patch)),
        (row, column, row + patch - 1, column + patch - 1),
        float(plain),
        float(plain + changes[most]),
    )
    return _spread_over_patches(np.abs(changes), places, patch, (height, width)), stimulus


def _corners(length: int, patch: int, stride: int) -> np.ndarray:
    """Return where patches begin along an axis; the last one ends at the border."""
    return np.unique(np.append(np.arange(0, length - patch, stride), length - patch))


def _cover(image: Array, place: Array, seed: Array | np.integer, patch: int) -> jax.Array:
    """Return the image with a patch of noise whose first row and column are `place`."""
    noise = jax.random.bits(jax.random.key(seed), (patch, patch, image.shape[-1]), image.dtype)
    return lax.dynamic_update_slice(image, noise, (place[0], place[1], 0))


@functools.partial(jax.jit, static_argnames=("model", "patch"))
def _scores(model, variables, image, unit, places, seeds, patch):
    """Return the logit in the image, and those with a patch at each place, float32 [] and [n]."""
    mean, std = variables["preprocessing"]["mean"], variables["preprocessing"]["std"]
    row, column, class_number = unit
    covered = jax.vmap(_cover, (None, 0, 0, None))(image, places, seeds, patch)
    images = jnp.concatenate([image[None], covered])
    scores = logits(model, variables, images, mean, std)[:, row, column, class_number]
    return scores[0], scores[1:]


def _spread_over_patches(
    changes: np.ndarray, places: np.ndarray, patch: int, size: tuple[int, int]
) -> np.ndarray:
    """Return for each pixel the mean of the changes of the patches that cover it."""
    total, count = np.zeros(size), np.zeros(size)
    for change, (row, column) in zip(changes, places, strict=True):
        covered = slice(row, row + patch), slice(column, column + patch)
        total[covered] += change
        count[covered] += 1
    return (total / np.maximum(count, 1)).astype(np.float32)
