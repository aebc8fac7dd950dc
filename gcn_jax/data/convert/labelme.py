"""labelme's JSON: one file beside each image, drawn as labelme's own `shape_to_mask` does.

Shapes are drawn in order, later ones on top. `__ignore__` is void. Coordinates are of the upright
image, as labelme turns a photo by its EXIF orientation when it opens it.
"""

import base64
import binascii
import io
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from gcn_jax.data.convert.drawing import (
    checked_points,
    checked_size,
    drawn,
    in_order,
    labelme_shape,
)
from gcn_jax.data.convert.json_files import list_of, read_json, reading, text_of
from gcn_jax.data.convert.names import given_classes
from gcn_jax.data.convert.photos import (
    ImageIndex,
    background,
    check_size,
    keys_in_splits,
    list_files,
    split_and_name,
)
from gcn_jax.data.convert.plan import Item, Options, Photo, Plan, number_classes
from gcn_jax.data.problems import Problem
from gcn_jax.terminal import ProgressBar

NAME = "labelme"
LOOKS_FOR = "a .json with shapes for each image"

#: The first bytes of an image, in base64 -> its suffix.
_EMBEDDED = {"iVBORw0KGgo": ".png", "/9j/": ".jpg", "Qk": ".bmp", "UklGR": ".webp"}

#: How many files are looked at before a folder is none of labelme's.
_LOOKED_AT = 5


def recognises(root: Path) -> bool:
    """Return whether one of a folder's first JSON files is labelme's."""
    return any(map(_looks_right, list_files(root, (".json",))[:_LOOKED_AT]))


def _looks_right(path: Path) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return re.search(rb'"shapes"\s*:\s*\[', content) is not None and b'"imagePath"' in content


def read(root: Path, options: Options) -> Plan:
    """List the images of all JSON files in a folder, and those without one.

    Args:
        root: The folder. A first line of folders called train, val or test is the split.
        options: The settings.

    Raises:
        Problem: The list of classes cannot be read.
    """
    index = ImageIndex(root)
    plan = Plan((), [])
    found: set[str] = set()
    entries: dict[Path, tuple[Path, dict[str, Any]]] = {}  # of the images, or the JSON that embeds
    files = list_files(root, (".json",))
    unread = {path.stem for path in files}  # an image of that name is not without annotation
    for path in _with_bar(files):
        try:
            with reading(path):
                content = _checked(path)
                if content is None:
                    continue
                image = _image_of(path, content, index)
                if image in entries:
                    raise ValueError(f"{entries[image][0]} is of the same image {image}")
                entries[image] = path, content
                found |= {shape["label"] for shape in content["shapes"]}
        except Problem as problem:
            plan.problems.append(problem)
            unread |= _stem_in(path)
    if not entries:
        return plan
    class_names, labels = number_classes(sorted(found), options, _listed(root, options))
    plan.class_names = class_names
    loose = [path for path in index.paths if path not in entries and path.stem not in unread]
    keys = keys_in_splits({path: split_and_name(root, path) for path in [*entries, *loose]})
    for image, (path, content) in entries.items():
        is_embedded = image == path
        plan.items.append(
            Item(
                key=keys[image],
                image=partial(_embedded, path) if is_embedded else image,
                suffix=content["suffix"] if is_embedded else image.suffix,
                split=split_and_name(root, image)[0],
                draw=partial(_draw, path, content["shapes"], content["size"], labels),
                sources=(path,) if is_embedded else (image, path),
                where=str(path),
                is_upright=True,
            )
        )
    for image in loose:
        split = split_and_name(root, image)[0]
        plan.items.append(
            Item(keys[image], image, image.suffix, split, background, (image,), str(image), True)
        )
    if loose:
        message = f"{len(loose)} images have no .json, such as {loose[0]}: all background"
        plan.remarks.append(message)
    return plan


def _with_bar(files: list[Path]) -> Iterator[Path]:
    with ProgressBar(stderr=True) as bar:
        yield from bar.track(files, len(files), NAME)


def _stem_in(path: Path) -> set[str]:
    """Return the name of the image of a file that cannot be used, as far as that can be read."""
    try:
        name = read_json(path).get("imagePath")
    except Problem:
        return set()
    return {PurePosixPath(name.replace("\\", "/")).stem} if isinstance(name, str) else set()


def _listed(root: Path, options: Options) -> tuple[str, ...] | None:
    """The classes of `--classes`, or of labelme's own `labels.txt`."""
    if options.classes is not None or not (root / "labels.txt").is_file():
        return given_classes(options)
    return given_classes(options._replace(classes=root / "labels.txt"))


def _checked(path: Path) -> dict[str, Any] | None:
    """Return what is kept of a file; None where it is not labelme's."""
    content = read_json(path)
    if "shapes" not in content:
        return None
    shapes = list_of(content, "shapes")
    for shape in shapes:
        text_of(shape["label"], "a label")
    size = None
    if content.get("imageHeight") is not None:
        size = checked_size(content["imageHeight"], content["imageWidth"])
    data, suffix = content.get("imageData"), ""
    if isinstance(data, str):
        suffix = next((_EMBEDDED[head] for head in _EMBEDDED if data.startswith(head)), "")
    kept = [{**shape, "label": shape["label"].strip()} for shape in shapes]
    name = content.get("imagePath")
    return {"shapes": kept, "size": size, "suffix": suffix, "name": name}


def _image_of(path: Path, content: Mapping[str, Any], index: ImageIndex) -> Path:
    """Return the image file of a JSON file; the JSON file itself where it holds the image."""
    name = text_of(content["name"], "imagePath")
    try:
        return index.find(name, [path.parent])
    except Problem:
        if not content["suffix"]:
            raise
        return path


def _embedded(path: Path) -> bytes:
    """Return the image that a JSON file holds."""
    with reading(path):
        return _unpacked(read_json(path)["imageData"], "imageData")


def _unpacked(text: Any, what: str) -> bytes:
    try:
        return base64.b64decode(text_of(text, what), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{what} is not base64 ({error})") from None


def _draw(
    path: Path,
    shapes: list[dict[str, Any]],
    size: tuple[int, int] | None,
    labels: Mapping[str, int | None],
    photo: Photo,
) -> np.ndarray:
    size = size or photo.upright
    check_size(size, photo, str(path))
    drawings = []
    for number, shape in enumerate(shapes, 1):
        with reading(f"{path}: shape {number} ({shape['label'][:40]!r})"):
            if shape["label"] not in labels:
                raise ValueError(f"its class {shape['label']!r} is not in the list of classes")
            points = checked_points(shape["points"])
            kind = shape.get("shape_type") or "polygon"
            if kind == "mask":
                covered = _placed(shape["mask"], points, size)
            else:
                covered = labelme_shape(text_of(kind, "shape_type"), points, size)
            drawings.append(drawn(covered, labels[shape["label"]]))
    return in_order(drawings, size)


def _placed(mask: Any, points: list[tuple[float, float]], size: tuple[int, int]) -> np.ndarray:
    """Place a mask, a PNG in base64, at the first of its two corners."""
    with Image.open(io.BytesIO(_unpacked(mask, "mask"))) as picture:
        if picture.size[0] > size[1] or picture.size[1] > size[0]:
            raise ValueError("its mask is larger than the image")
        inner = np.asarray(picture.convert("L")) > 0
    left, top = (round(value) for value in points[0])
    height, width = inner.shape
    if left < 0 or top < 0 or top + height > size[0] or left + width > size[1]:
        raise ValueError("its mask lies outside of the image")
    covered = np.zeros(size, bool)
    covered[top : top + height, left : left + width] = inner
    return covered
