"""COCO's segmentations as masks; nothing reaches pycocotools' C code before it was checked."""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

#: The longest outline of the objects of one image, in pixels: drawing takes time and memory by it.
LONGEST_OUTLINE = 2**20


def decode(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Rasterise one segmentation, as pycocotools does.

    Args:
        segmentation: Polygons `[[x, y, x, y, ...], ...]`, or a run-length code `{"size": [H, W],
            "counts": ...}` whose counts are a list, or compressed to text.
        height: The image's height, in pixels.
        width: The image's width, in pixels.

    Returns:
        bool `[H, W]`. A polygon of fewer than three points covers nothing.

    Raises:
        ValueError: It is of no known form; a point lies far outside of the image, or the outline is
            too long; the run-length code is of another size, or too short or long for it.
    """
    if isinstance(segmentation, list):
        outline_length(segmentation, height, width)
        polygons = [points for points in segmentation if len(points) >= 6]
        if not polygons:
            return np.zeros((height, width), bool)
        code = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
        return coco_mask.decode(code).astype(bool)
    if not isinstance(segmentation, Mapping) or not {"size", "counts"} <= segmentation.keys():
        raise ValueError("it is neither polygons nor a run-length code with its size and counts")
    if segmentation["size"] != [height, width]:
        raise ValueError(f"its size is {segmentation['size']!r}, its image's {[height, width]}")
    runs = segmentation["counts"]
    if isinstance(runs, bytes):
        runs = runs.decode("latin-1")
    if isinstance(runs, str):
        runs = list(_unpack(runs))
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise ValueError("its runs are not whole numbers from 0 on")
    if sum(runs) != height * width:
        raise ValueError(f"its runs are {sum(runs)} pixels long, its image {height * width}")
    covered = np.arange(len(runs)) % 2 == 1  # the first run is background; they go down columns
    return np.repeat(covered, runs).reshape(width, height).T


def outline_length(segmentation: Any, height: int, width: int) -> float:
    """Check polygons and return how long their outlines are; 0 for a run-length code.

    Args:
        segmentation: As for `decode`.
        height: The image's height, in pixels.
        width: The image's width, in pixels.

    Raises:
        ValueError: See `decode`.
    """
    if not isinstance(segmentation, list):
        return 0.0
    total = 0.0
    for points in segmentation:
        if not isinstance(points, list) or len(points) % 2:
            raise ValueError("a polygon is no list of x, y, x, y, ...")
        if not all(map(is_number, points)):
            raise ValueError("a polygon has a coordinate that is no number")
        for place, size in ((points[::2], width), (points[1::2], height)):
            far = [one for one in place if not -size <= one <= 2 * size]
            if far:
                raise ValueError(
                    f"a polygon has the coordinate {far[0]:g}, far outside of an image of "
                    f"{width}x{height} pixels"
                )
        steps = np.abs(np.diff(np.reshape([*points, *points[:2]], (-1, 2)), axis=0))
        total += float(steps.max(axis=1).sum()) if len(steps) else 0.0
    if total > LONGEST_OUTLINE:
        raise ValueError(f"its outlines are {total:.0f} pixels long; the most is {LONGEST_OUTLINE}")
    return total


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a finite number (true and false are none).

    Args:
        value: Any JSON value.
    """
    return (type(value) is int and abs(value) < 2**63) or (type(value) is float and isfinite(value))


def _unpack(text: str) -> Iterator[int]:
    """Yield the runs of COCO's compressed code.

    A run is written as its difference from the one two before it, from the fourth on, in groups of
    five bits, least first, each + 48, with 32 where another one follows; the last has the sign.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 40:
            raise ValueError("its compressed runs are damaged")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        yield runs[-1]
        value = shift = 0
    if shift:
        raise ValueError("its compressed runs end within one")
