"""COCO's panoptic and stuff maps: a PNG an image, whose colours are the numbers of segments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.convert.json_files import list_of, reading, whole
from gcn_jax.data.images import read_image
from gcn_jax.data.problems import Problem


def label_of(
    number: Any, categories: Mapping[int, str], number_of: Mapping[int, int | None]
) -> int | None:
    """Return the label of a category; None for void.

    Args:
        number: What stands as `category_id`, any JSON value.
        categories: The names of the categories by their numbers.
        number_of: The labels of those that are classes.

    Raises:
        ValueError: It is no category, or no class.
    """
    if type(number) is not int or number not in categories:
        raise ValueError(f"its category_id {str(number)[:40]!r} is none of the categories")
    if number not in number_of:
        raise ValueError(f"its class {categories[number]!r} is not in the list of classes")
    return number_of[number]


def map_of(path: Path, one: Mapping[str, Any]) -> Path | None:
    """Return the map of a panoptic annotation: beside the file, or in a folder of its name.

    Args:
        path: The JSON file.
        one: The annotation.

    Returns:
        Its file; None where there is none.
    """
    name = one.get("file_name")
    if not isinstance(name, str) or "\0" in name:
        return None
    folders = (path.with_suffix(""), path.parent, path.parent.parent / path.stem)
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def draw_map(
    path: Path,
    where: str,
    size: tuple[int, int],
    objects: list[dict[str, Any]],
    categories: Mapping[int, str],
    number_of: Mapping[int, int | None],
) -> np.ndarray:
    """Draw a map whose pixels are the numbers of segments, red + 256 green + 65536 blue.

    Args:
        path: The JSON file.
        where: The image, for the messages.
        size: (height, width) in pixels.
        objects: The annotations of the image: one.
        categories: The names of the categories by their numbers.
        number_of: The labels of those that are classes.

    Returns:
        uint8 `[H, W]`. Pixels of segment 0 and of crowds are void.

    Raises:
        Problem: The map is missing, of another size, or has segments that are not listed.
    """
    if len(objects) != 1:
        raise Problem("unreadable annotation", f"{where}: it has {len(objects)} maps")
    (one,) = objects
    file = map_of(path, one)
    if file is None:
        message = f"{where}: the map {str(one.get('file_name'))[:200]!r} is missing; add it"
        raise Problem("missing mask", message)
    colors = read_image(file).astype(np.int64)
    numbers = colors @ np.array([1, 256, 65536])
    if numbers.shape != size:
        found = f"{numbers.shape[1]}x{numbers.shape[0]}"
        message = f"{file}: the map is {found} pixels, its image {size[1]}x{size[0]}"
        raise Problem("size mismatch", message)
    with reading(where):
        meaning: dict[int, int] = {0: IGNORE_LABEL}
        for segment in list_of(one, "segments_info"):
            label = label_of(segment["category_id"], categories, number_of)
            if label is None or segment.get("iscrowd", 0) == 1:
                label = IGNORE_LABEL
            meaning[whole(segment["id"], "id of a segment")] = label
        values, places = np.unique(numbers, return_inverse=True)
        unknown = [int(value) for value in values if int(value) not in meaning]
        if unknown:
            raise ValueError(f"{file} has segments that are not listed, such as {unknown[0]}")
        table = np.array([meaning[int(value)] for value in values], np.uint8)
        return table[places].reshape(size)
