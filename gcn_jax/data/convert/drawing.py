"""Drawing of annotated objects, by the rule of the tool that a source comes from.

COCO, CVAT, Roboflow and YOLO: polygons as pycocotools draws them, which those tools use. labelme:
Pillow, as labelme's own `shape_to_mask`.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.builders.coco_masks import LONGEST_OUTLINE, is_number

#: The longest side and the most pixels of an image.
LONGEST_SIDE, MOST_PIXELS = 65_535, 2**28

#: labelme's width of a line and radius of a point, in pixels.
_LINE_WIDTH, _POINT_RADIUS = 10, 5

Points = Sequence[tuple[float, float]]


class Drawn(NamedTuple):
    """An object as a mask, cut to the box that holds it: many fit into memory.

    Attributes:
        covered: bool `[h, w]`.
        top: The first row of the box.
        left: The first column of the box.
        label: Its class; None for void.
        is_below: Whether it lies below all others, such as a crowd region.
    """

    covered: np.ndarray
    top: int
    left: int
    label: int | None
    is_below: bool


def drawn(covered: np.ndarray, label: int | None, is_below: bool = False) -> Drawn:
    """Cut a mask to the box that holds it.

    Args:
        covered: bool `[H, W]`, of the whole image.
        label: Its class; None for void.
        is_below: Whether it lies below all others.
    """
    rows, columns = (np.flatnonzero(covered.any(axis)) for axis in (1, 0))
    if not rows.size:
        return Drawn(np.zeros((0, 0), bool), 0, 0, label, is_below)
    box = covered[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Drawn(box.copy(), int(rows[0]), int(columns[0]), label, is_below)


def larger_first(objects: Iterable[Drawn], size: tuple[int, int]) -> np.ndarray:
    """Draw objects on background, larger ones first, so that smaller ones lie on top.

    Args:
        objects: The objects; of two of equal area the later one is on top.
        size: (height, width) in pixels.

    Returns:
        uint8 `[H, W]`.
    """
    ordered = sorted(objects, key=lambda one: (not one.is_below, -int(one.covered.sum())))
    return in_order(ordered, size)


def in_order(objects: Iterable[Drawn], size: tuple[int, int]) -> np.ndarray:
    """Draw objects on background, one over the other.

    Args:
        objects: The objects, the lowest first.
        size: (height, width) in pixels.

    Returns:
        uint8 `[H, W]`.
    """
    label = np.zeros(size, np.uint8)
    for one in objects:
        height, width = one.covered.shape
        box = label[one.top : one.top + height, one.left : one.left + width]
        box[one.covered] = IGNORE_LABEL if one.label is None else one.label
    return label


def checked_size(height: object, width: object) -> tuple[int, int]:
    """Return the size of an image as its annotation has it.

    Args:
        height: Any JSON value.
        width: Any JSON value.

    Raises:
        ValueError: It is no size of an image.
    """
    if not (type(height) is int and type(width) is int):
        raise ValueError("its height and width are no whole numbers")
    if not (1 <= height <= LONGEST_SIDE and 1 <= width <= LONGEST_SIDE):
        raise ValueError(f"its size {width}x{height} is not 1 to {LONGEST_SIDE} pixels")
    if height * width > MOST_PIXELS:
        raise ValueError(f"its size {width}x{height} is more than {MOST_PIXELS} pixels")
    return height, width


def checked_points(values: object) -> list[tuple[float, float]]:
    """Return points `[[x, y], ...]` of a JSON file.

    Args:
        values: Any JSON value.

    Raises:
        ValueError: They are none.
    """
    if not isinstance(values, list):
        raise ValueError("its points are no list")
    points = []
    for value in values:
        if not (isinstance(value, list) and len(value) == 2 and all(map(is_number, value))):
            raise ValueError("a point is no pair of numbers [x, y]")
        points.append((float(value[0]), float(value[1])))
    return points


def labelme_shape(kind: str, points: Points, size: tuple[int, int]) -> np.ndarray:
    """Draw a shape as labelme does.

    Args:
        kind: One of polygon, rectangle, circle, line, linestrip, point.
        points: Its points (x, y), in pixels.
        size: (height, width) of the image, in pixels.

    Returns:
        bool `[H, W]`.

    Raises:
        ValueError: There is no such kind, or it has another number of points, or lies far outside.
    """
    height, width = size
    steps = zip(points, points[1:], strict=False)
    length = sum(max(abs(x - u), abs(y - v)) for (x, y), (u, v) in steps)
    far = any(not (-width <= x <= 2 * width and -height <= y <= 2 * height) for x, y in points)
    if far or length > LONGEST_OUTLINE:
        raise ValueError("a point lies far outside of the image, or its outline is too long")
    picture = Image.new("L", (width, height))
    draw = ImageDraw.Draw(picture)
    numbers = {"rectangle": 2, "circle": 2, "line": 2, "point": 1}
    if kind in numbers and len(points) != numbers[kind]:
        raise ValueError(f"a {kind} has {len(points)} points; it takes {numbers[kind]}")
    match kind:
        case "polygon" if len(points) > 2:
            draw.polygon(list(points), outline=1, fill=1)
        case "rectangle":
            (x, y), (u, v) = points
            draw.rectangle([min(x, u), min(y, v), max(x, u), max(y, v)], outline=1, fill=1)
        case "circle":
            (x, y), (u, v) = points
            radius = math.hypot(x - u, y - v)
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=1, fill=1)
        case "line" | "linestrip" if len(points) > 1:
            draw.line(list(points), fill=1, width=_LINE_WIDTH)
        case "point":
            ((x, y),) = points
            r = _POINT_RADIUS
            draw.ellipse([x - r, y - r, x + r, y + r], outline=1, fill=1)
        case _:
            raise ValueError(f"a shape of kind {kind!r} with {len(points)} points is not known")
    return np.asarray(picture, bool)
