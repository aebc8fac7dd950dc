"""One 0/255 mask file an object: `masks/IMAGE_CLASS_2.png`, or `masks/CLASS/IMAGE.png`.

Larger objects are drawn first, smaller ones lie on top.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from gcn_jax.data.convert.binary import foreground, read_binary
from gcn_jax.data.convert.drawing import Drawn, drawn, larger_first
from gcn_jax.data.convert.names import given_classes
from gcn_jax.data.convert.photos import keys_in_splits, list_files, split_and_name
from gcn_jax.data.convert.plan import Item, Options, Photo, Plan, number_classes
from gcn_jax.data.files import IMAGE_SUFFIXES, MASK_SUFFIXES
from gcn_jax.data.layouts import IMAGE_FOLDERS, MASK_FOLDERS
from gcn_jax.data.problems import Problem
from gcn_jax.data.split_names import SPLIT_NAMES

NAME = "objects"
LOOKS_FOR = "images/IMAGE.jpg with several masks/IMAGE_CLASS_1.png, or masks/CLASS/IMAGE.png"

#: The class of objects whose file does not name one.
_UNNAMED = ""

_Found = dict[Path, list[tuple[str, Path]]]


def recognises(root: Path) -> bool:
    """Return whether an image of a folder has several masks, or masks lie in folders of classes."""
    found, _ = _objects(root)
    several = any(len(objects) > 1 for objects in found.values())
    named = {name for objects in found.values() for name, _ in objects}
    return (several or _has_folders(root)) and bool(named) and _are_binary(found)


def _has_folders(root: Path) -> bool:
    images = {folder.name for kind in IMAGE_FOLDERS for folder in _folders(root / kind)}
    masks = {folder.name for kind in MASK_FOLDERS for folder in _folders(root / kind)}
    return bool(masks) and not masks & images and not {m.lower() for m in masks} & set(SPLIT_NAMES)


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _are_binary(found: _Found) -> bool:
    masks = [path for objects in found.values() for _, path in objects]
    for path in masks[:: 1 + len(masks) // 8]:
        try:
            read_binary(path)
        except Problem:
            return False
    return bool(masks)


def _objects(root: Path) -> tuple[_Found, list[Path]]:
    """Return the masks of each image with the names of their classes, and masks of no image."""
    images: dict[tuple[str, str], Path] = {}
    for path in _below(root, IMAGE_FOLDERS, IMAGE_SUFFIXES):
        images[split_and_name(root, path)[0], path.stem] = path
    found: _Found = {path: [] for path in images.values()}
    strays = []
    for path in _below(root, MASK_FOLDERS, MASK_SUFFIXES):
        split, _ = split_and_name(root, path)
        parts = path.relative_to(root).parts[:-1]
        folders = [p for p in parts if p.lower() not in SPLIT_NAMES and p not in MASK_FOLDERS]
        stem = path.stem
        ends = [i for i in range(len(stem), 0, -1) if i == len(stem) or not stem[i].isalnum()]
        match = next((stem[:i] for i in ends if (split, stem[:i]) in images), None)
        if match is None:
            strays.append(path)
            continue
        rest = re.sub(r"(^|[_\W])\d+$", "", stem[len(match) :]).strip("_-. ")
        name = folders[-1] if folders else rest
        found[images[split, match]].append((name or _UNNAMED, path))
    return found, strays


def _below(root: Path, names: Sequence[str], suffixes: Sequence[str]) -> list[Path]:
    return [
        path
        for path in list_files(root, suffixes)
        if set(names) & set(path.relative_to(root).parts[:-1])
    ]


def read(root: Path, options: Options) -> Plan:
    """List the images and the masks of their objects.

    Args:
        root: The folder.
        options: The settings; the name is that of objects whose file names no class.

    Raises:
        Problem: The list of classes cannot be read.
        UserError: Files name no class, and the settings neither.
    """
    found, strays = _objects(root)
    names = {name for objects in found.values() for name, _ in objects}
    if _UNNAMED in names:
        unnamed = foreground(root, options)
        found = {
            image: [(name or unnamed, path) for name, path in objects]
            for image, objects in found.items()
        }
        names = (names - {_UNNAMED}) | {unnamed}
    class_names, labels = number_classes(sorted(names), options, given_classes(options))
    plan = Plan(class_names, [])
    plan.problems += [
        Problem("missing image", f"{path}: no image's name is the beginning of this one's")
        for path in strays
    ]
    keys = keys_in_splits({path: split_and_name(root, path) for path in found})
    for image, objects in found.items():
        plan.items.append(
            Item(
                key=keys[image],
                image=image,
                suffix=image.suffix,
                split=split_and_name(root, image)[0],
                draw=partial(_draw, objects, labels),
                sources=(image, *(path for _, path in objects)),
                where=str(image),
            )
        )
    by_class: dict[str, int] = defaultdict(int)
    for objects in found.values():
        for name, _ in objects:
            by_class[name] += 1
    counts = ", ".join(f"{name} ({count})" for name, count in sorted(by_class.items()))
    plan.remarks.append(f"classes by the names of files, with objects: {counts}")
    empty = [image for image, objects in found.items() if not objects]
    if empty:
        message = f"{len(empty)} images have no mask, such as {empty[0]}: all background"
        plan.remarks.append(message)
    return plan


def _draw(
    objects: Sequence[tuple[str, Path]], labels: Mapping[str, int | None], photo: Photo
) -> np.ndarray:
    shapes: list[Drawn] = []
    size = photo.upright
    for name, path in objects:
        if name not in labels:
            message = f"{path}: its class {name!r} is not in the list of classes"
            raise Problem("unknown class", message)
        covered = read_binary(path)
        if shapes and covered.shape != size:
            message = f"{path}: its size is not that of {objects[0][1]}"
            raise Problem("size mismatch", message)
        size = covered.shape[0], covered.shape[1]
        shapes.append(drawn(covered, labels[name]))
    return larger_first(shapes, size)
