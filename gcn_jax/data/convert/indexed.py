"""Masks of class numbers in another layout, such as Roboflow's "semantic segmentation masks"."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.class_lists import read_class_list
from gcn_jax.data.convert.mask_folders import add_pairs, find_pairs, kinds_of_masks
from gcn_jax.data.convert.names import given_classes
from gcn_jax.data.convert.plan import Options, Photo, Plan, number_classes
from gcn_jax.data.files import read_mask
from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError

NAME = "indexed"
LOOKS_FOR = "images and masks of class numbers"


def recognises(root: Path) -> bool:
    """Return whether the first masks of a folder hold class numbers."""
    return bool(kinds_of_masks(root) & {"indexed", "palette"})


def read(root: Path, options: Options) -> Plan:
    """List the images; names and numbers stay as they are, but for void.

    Args:
        root: The folder.
        options: The settings.

    Raises:
        Problem: There is no list of classes, or the layout is not known.
        UserError: Palettes differ, so that a number may be another class in another file.
    """
    names = given_classes(options)
    remarks: tuple[str, ...] = ()
    if names is None:
        table, remarks = read_class_list(root)
        names = table.names
    _check_palettes(root)
    class_names, labels = number_classes(names, options, has_background=True)
    plan = Plan(class_names, [], [], list(remarks))
    add_pairs(plan, root, partial(_draw, [labels[name] for name in names]))
    return plan


def _draw(labels: Sequence[int | None], mask: Path, photo: Photo) -> np.ndarray:
    """Renumber a mask: the names that are void have no number of their own."""
    del photo
    values = read_mask(mask)
    bad = values[(values >= len(labels)) & (values != IGNORE_LABEL)]
    if bad.size:
        found = ", ".join(map(str, np.unique(bad)[:8]))
        message = f"{mask}: label {found} where there are {len(labels)} classes; add their names"
        raise Problem("label out of range", message)
    table = np.full(256, IGNORE_LABEL, np.uint8)
    table[: len(labels)] = [IGNORE_LABEL if label is None else label for label in labels]
    return table[values]


def _check_palettes(root: Path) -> None:
    """Compare the palettes of all masks, which are lost when they are written anew."""
    splits, _, _ = find_pairs(root)
    first: Path | None = None
    palette: list[int] = []
    for path in (pair[2] for pairs in splits.values() for pair in pairs):
        try:
            with Image.open(path) as image:
                found = (image.getpalette() or []) if image.mode == "P" else []
        except (OSError, SyntaxError, ValueError):
            continue  # which is named when it is read
        shared = min(len(palette), len(found))
        if palette[:shared] != found[:shared]:
            raise UserError(
                f"{path} and {first} have different palettes, so that a number may be one class "
                "here and another there; convert them by their colours: --format colours"
            )
        if len(found) > len(palette):
            first, palette = path, found
