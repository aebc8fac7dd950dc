"""CVAT's "CVAT for images 1.1": annotations.xml with polygons, boxes and masks.

Objects are drawn by their z_order, of equal ones in the order of the file, as CVAT shows them.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from gcn_jax.data.builders.coco_masks import decode
from gcn_jax.data.convert.drawing import checked_size, drawn, in_order
from gcn_jax.data.convert.json_files import reading
from gcn_jax.data.convert.names import given_classes
from gcn_jax.data.convert.photos import ImageIndex, check_size, list_files, unique_keys, unlisted
from gcn_jax.data.convert.plan import Item, Options, Photo, Plan, number_classes
from gcn_jax.data.problems import Problem
from gcn_jax.data.split_names import canonical_split

NAME = "cvat"
LOOKS_FOR = "CVAT's annotations.xml"

#: The first bytes of a file, in which its first element is.
_HEAD = 4096


def recognises(root: Path) -> bool:
    """Return whether a folder has XML files of CVAT's."""
    return bool(_find(root))


def _find(root: Path) -> list[Path]:
    def looks_right(path: Path) -> bool:
        try:
            with path.open("rb") as file:
                return b"<annotations>" in file.read(_HEAD)
        except OSError:
            return False

    return [path for path in list_files(root, (".xml",)) if looks_right(path)]


def read(root: Path, options: Options) -> Plan:
    """List the images of all XML files in a folder.

    Args:
        root: The folder.
        options: The settings.

    Raises:
        Problem: No file is there, or the list of classes cannot be read.
    """
    files = _find(root)
    if not files:
        raise Problem("missing file", f"{root}: there is no {LOOKS_FOR}")
    trees: dict[Path, ET.Element] = {}
    plan = Plan((), [])
    for path in files:
        try:
            with reading(path):
                trees[path] = ET.parse(path).getroot()
                if trees[path].find("track") is not None:
                    raise ValueError("it is of a video; export it as `CVAT for images 1.1`")
        except Problem as problem:
            plan.problems.append(problem)
            trees.pop(path, None)
    if not trees:
        return plan
    images = [(path, image) for path, tree in trees.items() for image in tree.iter("image")]
    meta = [
        name.text.strip()
        for tree in trees.values()
        for name in tree.iterfind("meta//labels/label/name")
        if name.text and name.text.strip()
    ]
    used = {_class_of(shape) for _, image in images for shape in _shapes(image)} - {""}
    found = [*meta, *sorted(used - set(meta))]
    plan.class_names, labels = number_classes(found, options, given_classes(options))
    index = ImageIndex(root)
    _add(plan, images, index, labels)
    plan.remarks += unlisted(index.paths, (path for item in plan.items for path in item.sources))
    tags = sum(shape.tag == "tag" for _, image in images for shape in image)
    if tags:
        plan.remarks.append(f"{tags} tags of whole images have no pixels and are left out")
    return plan


def _shapes(image: ET.Element) -> list[ET.Element]:
    return [shape for shape in image if shape.tag != "tag"]


def _class_of(shape: ET.Element) -> str:
    return shape.get("label", "").strip()


def _add(
    plan: Plan,
    images: Sequence[tuple[Path, ET.Element]],
    index: ImageIndex,
    labels: Mapping[str, int | None],
) -> None:
    by_split: dict[str, dict[str, tuple[Path, ET.Element, Path]]] = {}
    for path, image in images:
        name, subset = image.get("name", ""), image.get("subset", "")
        split = "" if subset.lower() == "default" else canonical_split(subset)
        try:
            with reading(f"{path}: image {name[:200]!r}"):
                folders = [path.parent / "images" / subset, path.parent / "images", path.parent]
                file = index.find(name, folders)
                if name in by_split.setdefault(split, {}):
                    raise ValueError("it is listed twice")
                by_split[split][name] = path, image, file
        except Problem as problem:
            plan.problems.append(problem)
    empty = 0
    for split, named in by_split.items():
        keys = unique_keys(named)
        for name, (path, image, file) in named.items():
            where = f"{path}: image {name!r}"
            draw = partial(_draw, where, image, labels)
            plan.items.append(Item(keys[name], file, file.suffix, split, draw, (file, path), where))
            empty += not _shapes(image)
    if empty:
        plan.remarks.append(f"{empty} images have no annotation: all background")


def _draw(
    where: str, image: ET.Element, labels: Mapping[str, int | None], photo: Photo
) -> np.ndarray:
    with reading(where):
        size = checked_size(int(image.attrib["height"]), int(image.attrib["width"]))
    check_size(size, photo, where)
    ordered = []
    for number, shape in enumerate(_shapes(image), 1):
        name = _class_of(shape)
        with reading(f"{where}: {shape.tag} {number} ({name[:40]!r})"):
            if name not in labels:
                raise ValueError(f"its class {name!r} is not in the list of classes")
            ordered.append((int(shape.get("z_order", 0)), number, labels[name], shape))
    ordered.sort(key=lambda one: one[:2])
    shapes = []
    for _, number, label, shape in ordered:
        with reading(f"{where}: {shape.tag} {number} ({_class_of(shape)[:40]!r})"):
            shapes.append(drawn(_covered(shape, size), label))
    return in_order(shapes, size)


def _covered(shape: ET.Element, size: tuple[int, int]) -> np.ndarray:
    """Rasterise a shape, bool `[H, W]`."""
    if shape.tag == "polygon":
        pairs = [pair.split(",") for pair in shape.attrib["points"].split(";")]
        if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
            raise ValueError("its points are not x,y;x,y;x,y")
        return decode([[float(value) for pair in pairs for value in pair]], *size)
    if shape.tag == "box":
        return decode([_corners(shape)], *size)
    if shape.tag == "mask":
        return _unpacked(shape, size)
    raise ValueError("it has no known area; draw it as a polygon or a mask")


def _corners(box: ET.Element) -> list[float]:
    """Return the corners of a box, turned clockwise about its centre by its rotation in degrees."""
    left, top, right, bottom = (float(box.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
    angle = math.radians(float(box.get("rotation", 0)))
    x, y = (left + right) / 2, (top + bottom) / 2
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    turned = [
        (
            x + (u - x) * math.cos(angle) - (v - y) * math.sin(angle),
            y + (u - x) * math.sin(angle) + (v - y) * math.cos(angle),
        )
        for u, v in corners
    ]
    return [value for corner in turned for value in corner]


def _unpacked(mask: ET.Element, size: tuple[int, int]) -> np.ndarray:
    """Unpack runs of 0 and 1 in turn, row by row, in a box of the image."""
    left, top, width, height = (int(mask.attrib[k]) for k in ("left", "top", "width", "height"))
    if min(left, top) < 0 or left + width > size[1] or top + height > size[0]:
        raise ValueError("its mask lies outside of the image")
    runs = [int(run) for run in mask.attrib["rle"].split(",")]
    if min(runs) < 0 or min(width, height) < 1 or sum(runs) != width * height:
        raise ValueError(f"its runs are {sum(runs)} pixels long, its box {width}x{height}")
    covered = np.zeros(size, bool)
    inner = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    covered[top : top + height, left : left + width] = inner
    return covered
