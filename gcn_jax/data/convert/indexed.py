"""Masks of class numbers in another layout, such as Roboflow's "semantic segmentation masks"."""

from pathlib import Path

import numpy as np
from PIL import Image

from gcn_jax.data.class_lists import read_class_list
from gcn_jax.data.convert.mask_folders import add_pairs, find_pairs, kinds_of_masks
from gcn_jax.data.convert.names import given_classes
from gcn_jax.data.convert.plan import Options, Photo, Plan
from gcn_jax.data.files import read_mask
from gcn_jax.errors import UserError

NAME = "indexed"
LOOKS_FOR = "images and masks of class numbers"


def recognises(root: Path) -> bool:
    """Return whether the first masks of a folder hold class numbers."""
    return "indexed" in kinds_of_masks(root)


def read(root: Path, options: Options) -> Plan:
    """List the images; names and numbers stay as they are.

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
    plan = Plan(names, [], [], list(remarks))
    add_pairs(plan, root, _draw)
    return plan


def _draw(mask: Path, photo: Photo) -> np.ndarray:
    del photo
    return read_mask(mask)


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
