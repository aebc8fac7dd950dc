"""The images in which two networks differ most and least near borders, and the sums of all."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from gcn_jax.errors import UserError
from gcn_jax.evaluation.boundary import BoundaryCounts, boundary_counts


@dataclasses.dataclass(frozen=True)
class Chosen:
    """An image that was chosen by a rule.

    Attributes:
        why: What it is among all images.
        index: Its number in the source.
        gain: How much larger a share of its pixels within `BOUNDARY_WIDTH` of a border is right by
            the second network, in -1..1.
    """

    why: str
    index: int
    gain: float


@dataclasses.dataclass(frozen=True, eq=False)
class Differences:
    """Two networks on the images of a split.

    Attributes:
        counts: Those of all images, of the first network and of the second.
        chosen: By falling gain: the images where the second gains and loses most, and where the
            two differ least; fewer than three where one is two of these.
        num_images: How many images have a border.
    """

    counts: tuple[BoundaryCounts, BoundaryCounts]
    chosen: tuple[Chosen, ...]
    num_images: int


def find_differences(
    maps: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], num_classes: int
) -> Differences:
    """Compare the class maps of two networks, image by image.

    Args:
        maps: (label, first, second) of each image: uint8 `[H, W]` with `IGNORE_LABEL`, and two
            class maps, integers `[H, W]`.
        num_classes: C.

    Raises:
        UserError: No image has a border.
    """
    first, second = BoundaryCounts.zeros(num_classes), BoundaryCounts.zeros(num_classes)
    gains = []
    for label, one, other in maps:
        of_one = boundary_counts(label, one, num_classes)
        of_other = boundary_counts(label, other, num_classes)
        gains.append(of_other.boundary_accuracy - of_one.boundary_accuracy)
        first, second = first + of_one, second + of_other
    found = np.array(gains)
    if not np.isfinite(found).any():
        raise UserError("no image has a border between two labels; there is nothing to compare")
    order = np.argsort(found)[: np.isfinite(found).sum()]  # NaN, without a border, sorts last
    worst, best = int(order[0]), int(order[-1])
    least = int(min(order, key=lambda index: abs(found[index])))
    rules = {
        least: "least difference",
        worst: "most lost" if found[worst] < 0 else "least gained",
        best: "most gained" if found[best] > 0 else "least lost",
    }
    chosen = [Chosen(why, index, float(found[index])) for index, why in rules.items()]
    chosen.sort(key=lambda one: -one.gain)
    return Differences((first, second), tuple(chosen), len(order))
