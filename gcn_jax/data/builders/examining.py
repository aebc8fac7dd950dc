"""One image and its mask, read and checked."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gcn_jax.data.files import MaskFacts, pair_problems
from gcn_jax.data.images import ImageFacts
from gcn_jax.data.problems import Pair, Problem


class Examined(NamedTuple):
    """One pair that was read and checked.

    Attributes:
        image: uint8 `[H, W, 3]`; None where it cannot be read.
        label: uint8 `[H, W]`; None where it cannot be read, or is not public.
        problems: What is wrong with the pair.
        image_facts: The image's properties; None where it cannot be read.
        mask_facts: The mask's properties; None where they are not compared.
    """

    image: np.ndarray | None
    label: np.ndarray | None
    problems: Sequence[Problem]
    image_facts: ImageFacts | None = None
    mask_facts: MaskFacts | None = None


def examine(
    pair: Pair,
    load_image: Callable[[Any], tuple[np.ndarray, ImageFacts]],
    load_label: Callable[[Any], tuple[np.ndarray, MaskFacts | None]],
    num_classes: int,
) -> Examined:
    """Read one pair and find all that is wrong with it.

    Args:
        pair: Its id, its image and its mask; None where it has no mask.
        load_image: Reads an image, uint8 `[H, W, 3]`, and its properties.
        load_label: Reads a mask as labels, uint8 `[H, W]`, and its properties.
        num_classes: C; labels are below it, or `IGNORE_LABEL`.
    """
    _, image_path, mask = pair
    problems: list[Problem] = []
    image, image_facts = _attempt(load_image, image_path, problems)
    if mask is None:
        return Examined(image, None, problems, image_facts)
    label, mask_facts = _attempt(load_label, mask, problems)
    if label is not None:
        orientation = image_facts.orientation if image_facts else 1
        problems += pair_problems(image, label, num_classes, str(mask), orientation)
    return Examined(image, label, problems, image_facts, mask_facts)


def _attempt(read: Callable[[Any], tuple], file: Any, problems: list[Problem]) -> tuple:
    """Read a file, or add what is wrong with it to the problems and return Nones."""
    try:
        return read(file)
    except Problem as problem:
        problems.append(problem)
        return None, None
