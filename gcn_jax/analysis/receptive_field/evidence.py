"""The valid receptive field above a noise floor: of many images and several trainings.

The image is covered with pieces of itself, one at each place of a grid that is centred on the
object's pixel, and the changes of all logits at that pixel are taken.

The null hypothesis of a place, so many patches away from the pixel: covering it moves the score of
the object's class no more than, in the mean, those of the classes of which the image has nothing.
Whatever moves all scores alike, such as the edges of the piece, features that no class owns and
rounding, then moves them as much; so images are the draws with which a place is tested, and its
floor is what the absent classes do there.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from scipy.special import stdtr, stdtrit
from scipy.stats import false_discovery_control

from gcn_jax.analysis.receptive_field.sight import Scene, theoretical_box
from gcn_jax.analysis.receptive_field.units import check_unit, level_holding
from gcn_jax.errors import UserError
from gcn_jax.models.pretrained.predict import logits

#: The share of the places found that are noise, in the mean; where all are noise, the probability
#: that any is found.
FALSE_DISCOVERIES = 0.05
#: Shares of what is above the floor whose areas are measured.
SHARES = (0.5, 0.8, 0.95)
#: The fewest images that are tested.
MIN_IMAGES = 5
#: In so many groups the images are left out in turn for the interval of an area.
_GROUPS = 10
#: float32 rounding of a score, as a share of it: less is no change.
_ROUNDING = 64 * float(np.finfo(np.float32).eps)


class Response(NamedTuple):
    """The changes of the scores at the unit of a scene by covering.

    The places are squares of `patch` x `patch` pixels side by side, of which the middle one is
    centred on the unit.

    Attributes:
        excess: float64 `[2 K + 1, 2 K + 1]`, how much more the logit of the unit's class changes
            than the logits of absent classes do in the mean; NaN where the centre of a place is
            not in the image.
        body: int64, the same shape: how many of the object's pixels lie there.
        is_right: Whether the unit's class has the highest logit in the image as it is.
    """

    excess: np.ndarray
    body: np.ndarray
    is_right: bool


def respond(
    model: nn.Module,
    variables: dict[str, Any],
    scene: Scene,
    *,
    patch: int,
    reach: int,
    draws: int = 1,
    seed: int = 0,
    batch_size: int = 32,
) -> Response:
    """Cover an image with pieces of itself, place by place.

    Args:
        model: A segmentation network of this package.
        variables: The variables of `from_pretrained`, with `preprocessing`.
        scene: The image and the unit; some class is absent.
        patch: Side of a place and of what covers it, in px.
        reach: K, so many places there are to each side of the unit's.
        draws: How many pieces are tried at each place, one after the other.
        seed: The seed of where in the image they are cut out.
        batch_size: How many covered images are computed at a time.

    Raises:
        UserError: A patch is larger than the image, or see `check_unit`.
        ValueError: No class is absent.
    """
    unit, size = scene.unit, scene.body.shape
    check_unit(unit, size, model.num_classes)
    if patch > min(size):
        raise UserError(f"patches of {patch} px do not fit into {size[1]} x {size[0]} pixels")
    if not scene.absent:
        raise ValueError("every class is in the image: nothing says what noise is")
    side = 2 * reach + 1
    steps = np.argwhere(np.ones((side, side), bool)) - reach
    first = np.array(unit[:2]) - patch // 2 + patch * steps  # row and column of each place
    rng = np.random.default_rng(seed)
    sources = rng.integers(0, np.subtract(size, patch - 1), (draws, len(first), 2))
    inside = ((first + patch // 2 >= 0) & (first + patch // 2 < size)).all(axis=1)
    top, left, bottom, right = theoretical_box(model, size, unit)
    sees = (first + patch > [top, left]).all(axis=1) & (first <= [bottom, right]).all(axis=1)
    tried = np.flatnonzero(inside & sees)

    targets = np.broadcast_to(first[tried], (draws, len(tried), 2))
    moves = np.stack([targets, sources[:, tried]], axis=2).reshape(-1, 2, 2)
    # Before them the image as it is: a piece that is put beside it.
    moves = np.concatenate([np.full((1, 2, 2), [[-patch, -patch], [0, 0]]), moves])
    scores = np.concatenate(
        [
            _scores(model, variables, scene.image, unit[:2], np.resize(batch, (batch_size, 2, 2)),
                    patch)[: len(batch)]
            for batch in np.split(moves, range(batch_size, len(moves), batch_size))
        ]
    )  # fmt: skip
    plain, covered = scores[0], scores[1:].reshape(draws, len(tried), -1)
    changes = np.abs(covered - plain)
    changes[changes < _ROUNDING * np.abs(scores).max()] = 0
    means = changes.mean(axis=0)
    excess = np.where(inside, 0.0, np.nan)
    excess[tried] = means[:, unit.class_number] - means[:, list(scene.absent)].mean(axis=1)

    body = np.zeros((side, side), np.int64)
    rows, columns = (np.argwhere(scene.body) - unit[:2] + patch // 2).T // patch + reach
    np.add.at(body, (rows, columns), 1)
    return Response(excess.reshape(side, side), body, bool(plain.argmax() == unit.class_number))


@functools.partial(jax.jit, static_argnames=("model", "patch"))
def _scores(model, variables, image, pixel, moves, patch):
    """Return all logits at a pixel with pieces of the image moved, float32 [n, C].

    `moves` has of each where it is put, which may be partly or wholly beside the image, and where
    it is cut out.
    """
    mean, std = variables["preprocessing"]["mean"], variables["preprocessing"]["std"]
    image = jnp.asarray(image)
    around = jnp.pad(image, ((patch, patch), (patch, patch), (0, 0)))

    def cover(move):
        (to_row, to_column), (from_row, from_column) = move
        shape = (patch, patch, image.shape[-1])
        piece = lax.dynamic_slice(image, (from_row, from_column, 0), shape)
        covered = lax.dynamic_update_slice(around, piece, (to_row + patch, to_column + patch, 0))
        return covered[patch:-patch, patch:-patch]

    return logits(model, variables, jax.vmap(cover)(moves), mean, std)[:, pixel[0], pixel[1]]


# ------------------------------------------------------------------------------------- the rule
def above_floor(excess: np.ndarray) -> np.ndarray:
    """Find the places where the excess is above 0.

    One-sided t-tests over the images, and of all places as many as Benjamini and Hochberg's
    procedure lets pass at `FALSE_DISCOVERIES`. Places that fewer than half of the images have are
    not tested.

    Args:
        excess: float `[N, ...]` of N images, NaN where an image has no such place.

    Returns:
        bool `[...]`.
    """
    count = np.isfinite(excess).sum(axis=0)
    tested = count >= max(2, len(excess) / 2)
    values, count = excess[:, tested], count[tested]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.nanmean(values, axis=0) / np.nanstd(values, axis=0, ddof=1) * np.sqrt(count)
    p = stdtr(count - 1, -np.nan_to_num(t))  # where all are 0, t is NaN
    above = np.zeros(tested.shape, bool)
    if p.size:
        above[tested] = false_discovery_control(p) <= FALSE_DISCOVERIES
    return above


def mass_above_floor(excess: np.ndarray) -> np.ndarray:
    """Return the mean excess over the images where it is above the floor, else 0.

    Args:
        excess: float `[N, ...]` of N images, NaN where an image has no such place.
    """
    above = above_floor(excess)
    mass = np.zeros(above.shape)
    mass[above] = np.nanmean(excess[:, above], axis=0)
    return mass


def inside(mass: np.ndarray, share: float) -> np.ndarray:
    """Return the fewest places that hold a share of a mass, bool; none where there is no mass.

    Args:
        mass: float, any shape, not negative; 0 at the floor.
        share: In 0..1.
    """
    return (mass > 0) & (mass >= level_holding(mass, share)) if mass.any() else mass > 0


class Area(NamedTuple):
    """The area that holds a share of what is above the floor.

    Attributes:
        pixels: The area in px, by the mean over all runs and images.
        runs: The ends of the 95 % interval of the area by a single run, by Student's t over the
            runs; NaN for one run.
        images: The ends of the interval of `pixels`, by a jackknife that leaves out a tenth of the
            images at a time.
        object_share: The share of the objects' pixels in it, 0..1, mean over the images.
    """

    pixels: int
    runs: tuple[float, float]
    images: tuple[float, float]
    object_share: float


def measure_area(excess: np.ndarray, body: np.ndarray, patch: int, share: float) -> Area:
    """Measure the area that holds a share of what is above the floor.

    Args:
        excess: float `[S, N, R, R]` of S runs and N images, N at least `MIN_IMAGES`.
        body: int `[N, R, R]`, pixels of the object in each place.
        patch: Side of a place, in px.
        share: In 0..1.
    """

    def holding(images: np.ndarray) -> np.ndarray:
        return inside(mass_above_floor(images), share)

    def pixels(images: np.ndarray) -> int:
        return int(holding(images).sum()) * patch**2

    mean = excess.mean(axis=0)
    found = holding(mean)
    area = int(found.sum()) * patch**2
    by_run = np.array([pixels(images) for images in excess])
    groups = np.arange(len(mean)) % min(_GROUPS, len(mean))
    left_out = [pixels(mean[groups != group]) for group in np.unique(groups)]
    num_runs, num_groups = len(by_run), len(left_out)
    of_runs = np.std(by_run, ddof=1) / math.sqrt(num_runs) if num_runs > 1 else math.nan
    of_images = float(np.std(left_out)) * math.sqrt(num_groups - 1)
    in_area = body[:, found].sum(axis=1) / body.sum(axis=(1, 2))
    return Area(
        area,
        _interval(float(by_run.mean()), of_runs, num_runs - 1),
        _interval(area, of_images, num_groups - 1),
        float(in_area.mean()),
    )


def _interval(value: float, error: float, freedom: int) -> tuple[float, float]:
    """Return the ends of a 95 % interval by Student's t; areas are not below 0."""
    half = stdtrit(freedom, 0.975) * error if freedom else math.nan
    return float(np.maximum(value - half, 0)), float(value + half)
