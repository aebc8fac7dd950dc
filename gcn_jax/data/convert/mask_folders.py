"""Folders of images and mask files, in any layout that training knows: pairs and first looks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from gcn_jax.data.convert.photos import list_files, unique_keys, unlisted
from gcn_jax.data.convert.plan import Item, Photo, Plan
from gcn_jax.data.decoding import check_plausible, open_image
from gcn_jax.data.files import IMAGE_SUFFIXES, load_mask
from gcn_jax.data.layouts import IMAGE_FOLDERS, find_layout, one_in_ten
from gcn_jax.data.problems import Pair, Problem

#: Masks that are looked at to recognise their kind.
_LOOKED_AT = 20

_OWN_SPLITS = ("train", "val", "test")


def find_pairs(root: Path) -> tuple[dict[str, list[Pair]], list[Problem], list[str]]:
    """List the images and masks of a folder.

    Args:
        root: The folder.

    Returns:
        The pairs of each split, of "" where the source has no splits; what is wrong with the rest;
        and remarks.

    Raises:
        Problem: The folder has no layout that is known.
    """
    splits, problems, is_listed = find_layout(root)
    remarks = []
    whole = [pair for pairs in splits.values() for pair in pairs]
    if is_listed:
        for split in [split for split in splits if split not in _OWN_SPLITS]:
            others = {pair[0] for name in splits if name != split for pair in splits[name]}
            if all(pair[0] in others for pair in splits[split]):
                remarks.append(f"the list {split!r} is left out: all of it is in other lists")
                del splits[split]
    if splits.keys() == {"train", "val"} and whole and one_in_ten(whole) == splits:
        splits = {
            "": sorted(whole, key=lambda pair: pair[0])
        }  # dealt by their names: training deals them so again
    return splits, problems, remarks


def kinds_of_masks(root: Path) -> set[str]:
    """Return what the first masks of a folder are: "colour", "palette", "binary", "indexed".

    Args:
        root: The folder. Of a layout that is not known there are none.
    """
    try:
        splits, _, _ = find_pairs(root)
    except Problem:
        return set()
    masks = [pair[2] for pairs in splits.values() for pair in pairs]
    return {kind for mask in masks[:: 1 + len(masks) // _LOOKED_AT] for kind in _kind(mask)}


def _kind(path: Path) -> list[str]:
    if path.suffix.lower() == ".npy":
        return ["indexed"]
    try:
        with Image.open(path) as image:
            if image.mode in ("L", "RGB", "RGBA", "LA", "1"):
                channels = np.asarray(image.convert("RGBA"))[..., :3]
                if (channels != channels[..., :1]).any():
                    return ["colour"]
                if image.format == "JPEG":  # refused when it is read
                    return ["binary"]
            has_palette = image.mode == "P"
        values = load_mask(path)[1].values
    except (Problem, OSError, SyntaxError, ValueError):
        return []
    if has_palette:
        return ["palette"]
    return ["binary" if 255 in values and set(values) <= {0, 255} else "indexed"]


def add_pairs(
    plan: Plan, root: Path, draw: Callable[[Path, Photo], np.ndarray], *more: Path
) -> None:
    """Add the images of a folder to a plan.

    Args:
        plan: The plan.
        root: The folder.
        draw: Returns the labels of a mask file, uint8 `[H, W]`.
        *more: Files that all masks depend on, too.

    Raises:
        Problem: The folder has no layout that is known.
    """
    splits, problems, remarks = find_pairs(root)
    plan.problems += problems
    plan.remarks += remarks
    images = [
        path
        for path in list_files(root, IMAGE_SUFFIXES)
        if set(path.relative_to(root).parts[:-1]) & set(IMAGE_FOLDERS)
    ]
    used = (path for pairs in splits.values() for pair in pairs for path in pair[1:])
    plan.remarks += unlisted(images, used)
    for split, pairs in splits.items():
        keys = unique_keys(f"{key}{image.suffix}" for key, image, _ in pairs)
        for key, image, mask in pairs:
            plan.items.append(
                Item(
                    key=keys[f"{key}{image.suffix}"],
                    image=image,
                    suffix=image.suffix,
                    split=split,
                    draw=partial(draw, mask),
                    sources=(image, mask, *more),
                    where=str(mask),
                )
            )


def read_rgb(path: Path) -> np.ndarray:
    """Read the colours of a mask, those of a palette too.

    Args:
        path: An image file without losses.

    Returns:
        int32 `[H, W]`, 65536 red + 256 green + blue.

    Raises:
        Problem: It is missing, damaged, compressed with losses, deeper than 8 bits, or has pixels
            through which one sees.
    """
    with open_image(path, str(path)) as opened:
        image = opened.image
        if opened.is_lossy:
            raise Problem(
                "lossy mask",
                f"{path}: a {image.format}, which changes the colours along edges; a mask needs "
                "PNG, from the original",
            )
        if opened.is_deep or image.mode in ("I", "F") or image.mode.startswith("I;"):
            message = f"{path}: more than 8 bits a channel; save it as a PNG of 8"
            raise Problem("colour mask", message)
        check_plausible(opened, str(path), bytes_per_pixel=32)
        rgba = np.asarray(image.convert("RGBA"))
    if (rgba[..., 3] != 255).any():
        count = int((rgba[..., 3] != 255).sum())
        message = f"{path}: {count} px are transparent, and nothing says what lies below; fill them"
        raise Problem("colour mask", message)
    return rgba[..., :3].astype(np.int32) @ np.array([65536, 256, 1], np.int32)
