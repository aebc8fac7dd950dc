"""YOLO's polygons: labels/*.txt beside images/, and data.yaml with the names of the classes.

A line is `class x y x y ...`, in shares of the upright image's width and height. Larger objects are
drawn first, smaller ones lie on top.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gcn_jax.data.builders.coco_masks import decode
from gcn_jax.data.convert.drawing import drawn, larger_first
from gcn_jax.data.convert.json_files import reading, text_of
from gcn_jax.data.convert.names import given_classes
from gcn_jax.data.convert.photos import (
    ImageIndex,
    background,
    keys_in_splits,
    list_files,
    split_and_name,
    unlisted,
)
from gcn_jax.data.convert.plan import Item, Options, Photo, Plan, number_classes
from gcn_jax.data.files import read_lines
from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError

NAME = "yolo"
LOOKS_FOR = "labels/*.txt beside images/, with a data.yaml"

#: The names of the folder of images that labels/ stands beside.
_IMAGES, _LABELS = "images", "labels"


def recognises(root: Path) -> bool:
    """Return whether a folder has a .yaml and labels/*.txt, below splits or above them."""
    return bool(_yaml_files(root)) and any(
        _LABELS in path.relative_to(root).parts for path in list_files(root, (".txt",))
    )


def _yaml_files(root: Path) -> list[Path]:
    return [path for path in sorted(root.iterdir()) if path.suffix in (".yaml", ".yml")]


def read(root: Path, options: Options) -> Plan:
    """List the images in folders called images.

    Args:
        root: The folder.
        options: The settings.

    Raises:
        Problem: The names of the classes cannot be read.
        UserError: There are none.
    """
    names = _names(root, options)
    class_names, labels = number_classes(list(names.values()), options)
    label_of = {number: labels[name] for number, name in names.items()}
    plan = Plan(class_names, [])
    index = ImageIndex(root)
    images = [path for path in index.paths if _IMAGES in path.relative_to(root).parts]
    plan.remarks += unlisted(index.paths, images)
    texts = {
        path for path in list_files(root, (".txt",)) if _LABELS in path.relative_to(root).parts
    }
    keys = keys_in_splits({path: split_and_name(root, path) for path in images})
    empty = []
    for image in images:
        text = _labels_of(root, image)
        texts.discard(text)
        there = text.is_file()
        if not there or not text.stat().st_size:
            empty.append(image)
        plan.items.append(
            Item(
                key=keys[image],
                image=image,
                suffix=image.suffix,
                split=split_and_name(root, image)[0],
                draw=partial(_draw, text, label_of) if there else background,
                sources=(image, text) if there else (image,),
                where=str(text if there else image),
                is_upright=True,
            )
        )
    if empty:
        message = f"{len(empty)} images have no labels, such as {empty[0]}: all background"
        plan.remarks.append(message)
    plan.problems += [
        Problem("missing image", f"{text}: there is no image of that name in {_IMAGES}/")
        for text in sorted(texts)
    ]
    return plan


def _names(root: Path, options: Options) -> dict[int, str]:
    """Return the names of the classes by their numbers."""
    given = given_classes(options)
    if given is not None:
        return dict(enumerate(given))
    files = _yaml_files(root)
    for path in files:
        with reading(path):
            content = yaml.safe_load(path.read_bytes())
            names: Any = content.get("names") if isinstance(content, dict) else None
            if isinstance(names, list):
                names = dict(enumerate(names))
            if not isinstance(names, dict):
                continue
            if not names or not all(type(number) is int and number >= 0 for number in names):
                raise ValueError("names are no list, and no numbers with names")
            # Lists of YAML can refer to themselves, and to others many times: no text of them.
            if any(isinstance(name, list | dict | tuple | set) for name in names.values()):
                raise ValueError("a name is no text")
            read = {number: text_of(str(name), "a name") for number, name in names.items()}
            if len(set(read.values())) < len(read):
                raise ValueError("two classes have one name")
            return dict(sorted(read.items()))
    raise UserError(
        f"{root}: no .yaml there has names of classes; add data.yaml, or give --classes FILE with "
        "one name a line, class 0 first"
    )


def _labels_of(root: Path, image: Path) -> Path:
    """Return the file of an image: labels for the last images in its path, .txt for its suffix."""
    parts = list(image.relative_to(root).parts)
    last = len(parts) - 1 - parts[::-1].index(_IMAGES)
    parts[last] = _LABELS
    return root.joinpath(*parts).with_suffix(".txt")


def _draw(text: Path, label_of: Mapping[int, int | None], photo: Photo) -> np.ndarray:
    height, width = photo.upright
    shapes = []
    for number, line in enumerate(read_lines(text), 1):
        with reading(f"{text}: line {number}"):
            word, *values = line.split()
            label = int(word)
            if label not in label_of:
                raise ValueError(f"class {label} has no name")
            if len(values) == 4:
                raise ValueError("a box, not a polygon; export the set for segmentation")
            if len(values) < 6 or len(values) % 2:
                raise ValueError(f"{len(values)} coordinates are no polygon")
            shares = [float(value) for value in values]
            scaled = [share * (height if i % 2 else width) for i, share in enumerate(shares)]
            shapes.append(drawn(decode([scaled], height, width), label_of[label]))
    return larger_first(shapes, (height, width))
