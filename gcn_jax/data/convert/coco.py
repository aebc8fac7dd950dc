"""COCO's JSON: instances (polygons, run lengths, crowds) and panoptic or stuff maps.

One file a split, such as `annotations/instances_train2017.json`, or Roboflow's
`SPLIT/_annotations.coco.json`.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax.data.builders.coco_masks import decode
from gcn_jax.data.convert.coco_maps import draw_map, label_of, map_of
from gcn_jax.data.convert.drawing import checked_size, drawn, larger_first
from gcn_jax.data.convert.json_files import list_of, read_json, reading, text_of, whole
from gcn_jax.data.convert.names import given_classes
from gcn_jax.data.convert.photos import ImageIndex, check_size, list_files, unique_keys, unlisted
from gcn_jax.data.convert.plan import Item, Options, Photo, Plan, number_classes
from gcn_jax.data.problems import Problem
from gcn_jax.data.split_names import SPLIT_NAMES

NAME = "coco"
LOOKS_FOR = "a .json with images, annotations and categories"

#: COCO's files beside those of outlines: they are left out, and said.
_OTHER_FILES = ("captions", "person_keypoints", "image_info")

#: Signs of a COCO file, one of which is in its first or last characters.
_HEAD = 1 << 16


def recognises(root: Path) -> bool:
    """Return whether a folder has a file of COCO's."""
    return bool(_find(root))


def read(root: Path, options: Options) -> Plan:
    """List the images of all files of COCO's in a folder.

    Args:
        root: The folder.
        options: The settings.

    Raises:
        Problem: No file is there, or two annotate the same images.
    """
    files = _find(root)
    if not files:
        raise Problem("missing file", f"{root}: there is no {LOOKS_FOR}")
    contents: dict[Path, dict[str, Any]] = {}
    problems: list[Problem] = []
    others = [path for path in files if path.name.startswith(_OTHER_FILES)]
    for path in files:
        if path in others:
            continue
        try:
            contents[path] = _checked(path)
        except Problem as problem:
            problems.append(problem)
    if not contents:
        return Plan((), [], problems)
    categories = [one for content in contents.values() for one in content["categories"]]
    used = {one for content in contents.values() for one in content["used"]}
    # Roboflow lists the name of the project as category 0, above all others: nothing is of it.
    groups = {one["group"] for one in categories}
    projects = {
        one["name"]
        for one in categories
        if one["id"] == 0 and 0 not in used and one["name"] in groups
    }
    names = sorted({(one["id"], one["name"]) for one in categories})
    found = [name for _, name in names if name not in projects]
    class_names, labels = number_classes(found, options, given_classes(options))
    plan = Plan(class_names, [], problems)
    plan.remarks += [
        f"category 0, {name!r}, is the group of the others and no class" for name in projects
    ]
    plan.remarks += [f"{path} is left out: it has no outlines of classes" for path in others]
    index = ImageIndex(root)
    splits = _splits_of(list(contents))
    for path, content in contents.items():
        _add(plan, path, content, splits[path], index, labels)
    _check_owners(plan)
    plan.remarks += unlisted(index.paths, (path for item in plan.items for path in item.sources))
    return plan


def _find(root: Path) -> list[Path]:
    return [path for path in list_files(root, (".json",)) if _looks_right(path)]


def _looks_right(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            file.seek(max(0, path.stat().st_size - _HEAD))
            ends = head + file.read()
    except OSError:
        return False
    found = re.findall(rb'"(images|annotations|categories|licenses|info)"\s*:', ends)
    return len(set(found)) >= 2 and b'"shapes"' not in ends


def _splits_of(paths: list[Path]) -> dict[Path, str]:
    """Name the split of each file by a word of its name or its folder."""
    if len(paths) == 1 and not _split_in(paths[0]):
        return {paths[0]: ""}
    return {path: _split_in(path) or path.stem for path in paths}


def _split_in(path: Path) -> str:
    for text in (path.stem, path.parent.name):
        for word in re.findall(r"[a-z]+", text.lower()):
            if word in SPLIT_NAMES:
                return SPLIT_NAMES[word]
    return ""


def _checked(path: Path) -> dict[str, Any]:
    """Read a file; its annotations are looked at when they are drawn."""
    content = read_json(path)
    with reading(path):
        images, annotations = list_of(content, "images"), list_of(content, "annotations")
        categories = list_of(content, "categories")
        names = [
            {
                "id": whole(one["id"], "id of a category"),
                "name": text_of(one["name"], "a name"),
                "group": str(one.get("supercategory")),
            }
            for one in categories
        ]
        for what, numbers in (
            ("category", [one["id"] for one in names]),
            ("image", [whole(one["id"], "id of an image") for one in images]),
        ):
            if len(set(numbers)) < len(numbers):
                raise ValueError(f"two of one number: {what}")
        used: set[int] = set()
        by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for one in annotations:
            by_image[whole(one["image_id"], "image_id")].append(one)
            if type(one.get("category_id")) is int:
                used.add(one["category_id"])
        strays = by_image.keys() - {image["id"] for image in images}
        if strays:
            count = sum(len(by_image[number]) for number in strays)
            raise ValueError(
                f"{count} annotations are of images that it does not list, such as {min(strays)}"
            )
    return {"images": images, "objects": by_image, "categories": names, "used": used}


def _add(
    plan: Plan,
    path: Path,
    content: Mapping[str, Any],
    split: str,
    index: ImageIndex,
    labels: Mapping[str, int | None],
) -> None:
    """Add the images of one file."""
    categories = {one["id"]: one["name"] for one in content["categories"]}
    number_of = {number: labels[name] for number, name in categories.items() if name in labels}
    bases = dict.fromkeys([path.parent, index.root])
    if path.parent != index.root:
        bases[path.parent.parent] = None  # of annotations/
    word = path.stem.rpartition("_")[2]  # train2017, as its folder of images
    inner = (word, split, f"images/{word}", f"images/{split}", "images", "")
    folders = [base / name for name in inner for base in bases]
    files: dict[str, tuple[dict[str, Any], Path]] = {}
    for image in content["images"]:
        where = f"{path}: image {image['id']}"
        try:
            with reading(where):
                name = text_of(image["file_name"], "file_name")
                checked_size(image["height"], image["width"])
                if name in files:
                    raise ValueError(f"{name!r} is listed twice")
                files[name] = (image, index.find(name, folders))
        except Problem as problem:
            plan.problems.append(Problem(problem.kind, str(problem), split or None))
    keys = unique_keys(files)
    empty = 0
    for name, (image, file) in files.items():
        objects = content["objects"].get(image["id"], [])
        empty += not objects
        where = f"{path}: image {image['id']} ({name})"
        size = (image["height"], image["width"])
        draw = partial(_draw, path, where, size, objects, categories, number_of)
        maps = [map_of(path, one) for one in objects if "segments_info" in one]
        sources = (file, path, *(one for one in maps if one is not None))
        plan.items.append(Item(keys[name], file, file.suffix, split, draw, sources, where))
    if empty:
        plan.remarks.append(f"{path}: {empty} images have no annotation: all background")


def _check_owners(plan: Plan) -> None:
    """Refuse two files that annotate the same images, such as instances beside a panoptic file."""
    owners: dict[Path, Path] = {}
    for item in plan.items:
        image, path = item.sources[:2]
        first = owners.setdefault(image, path)
        if first != path:
            message = f"{first} and {path} both annotate {image.name}; move one of them away"
            raise Problem("two annotations", message)


def _draw(
    path: Path,
    where: str,
    size: tuple[int, int],
    objects: list[dict[str, Any]],
    categories: Mapping[int, str],
    number_of: Mapping[int, int | None],
    photo: Photo,
) -> np.ndarray:
    check_size(size, photo, where)
    if any("segments_info" in one for one in objects):
        return draw_map(path, where, size, objects, categories, number_of)
    shapes = []
    for one in objects:
        with reading(f"{where}: annotation {str(one.get('id'))[:40]}"):
            crowd = one.get("iscrowd", 0)
            if crowd not in (0, 1):
                raise ValueError(f"iscrowd is {str(crowd)[:40]!r}; it is 0 or 1")
            label = label_of(one["category_id"], categories, number_of)
            covered = decode(one["segmentation"], *size)
            if not covered.any():
                raise ValueError("its segmentation covers no pixel (a box alone is no outline)")
            shapes.append(drawn(covered, None if crowd else label, bool(crowd)))
    return larger_first(shapes, size)
