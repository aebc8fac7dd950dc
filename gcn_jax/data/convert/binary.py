"""0/255 masks: background, and one class that a person names."""

from pathlib import Path

import numpy as np

from gcn_jax.data.convert.mask_folders import add_pairs, kinds_of_masks
from gcn_jax.data.convert.plan import Options, Photo, Plan, number_classes
from gcn_jax.data.files import read_mask
from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError

NAME = "binary"
LOOKS_FOR = "images and masks of 0 and 255"


def recognises(root: Path) -> bool:
    """Return whether the first masks of a folder hold 0 and 255 only."""
    return kinds_of_masks(root) == {"binary"}


def read(root: Path, options: Options) -> Plan:
    """List the images.

    Args:
        root: The folder.
        options: The settings, with the name of the foreground.

    Raises:
        Problem: The layout is not known.
        UserError: The foreground has no name.
    """
    names, _ = number_classes([foreground(root, options)], options)
    plan = Plan(names, [])
    add_pairs(plan, root, _draw)
    return plan


def foreground(root: Path, options: Options) -> str:
    """Return the name of the foreground.

    Args:
        root: The folder, for the message.
        options: The settings.

    Raises:
        UserError: There is none, or it is no class.
    """
    if not options.name:
        raise UserError(f"{root}: the masks are 0 and 255; say what 255 is, such as --name road")
    if options.is_void(options.name) or options.name == "background":
        raise UserError(f"--name {options.name} is no class; say what 255 is, such as --name road")
    return options.name


def read_binary(path: Path) -> np.ndarray:
    """Read a mask of 0 and 255, as bool `[H, W]`.

    Raises:
        Problem: It cannot be read, or has other values.
    """
    mask = read_mask(path)
    if mask.max(initial=0) == 1:
        return mask == 1  # of 1 bit
    other = mask[(mask != 0) & (mask != 255)]
    if other.size:
        message = (
            f"{path}: {other.size} px are neither 0 nor 255, such as {int(other[0])}; a mask whose "
            "edges were smoothed says nothing there: take the original, or set a threshold"
        )
        raise Problem("grey mask", message)
    return mask == 255


def _draw(mask: Path, photo: Photo) -> np.ndarray:
    del photo
    return read_binary(mask).astype(np.uint8)
