"""Units of a network (one score at one pixel), and maps of what in the image moves them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from gcn_jax.errors import UserError


class Unit(NamedTuple):
    """One output of a segmentation network.

    Attributes:
        row: The row of the pixel that is scored.
        column: The column of the pixel.
        class_number: The class whose score it is.
    """

    row: int
    column: int
    class_number: int


def check_unit(unit: Unit, size: tuple[int, int], num_classes: int) -> None:
    """Check that an image and the classes have a unit.

    Args:
        unit: The unit.
        size: Height and width of the image in px.
        num_classes: Number of classes.

    Raises:
        UserError: The pixel is outside the image, or there is no such class.
    """
    if not (0 <= unit.row < size[0] and 0 <= unit.column < size[1]):
        raise UserError(
            f"pixel {unit.row},{unit.column} (row, column) is outside the image of {size[0]} rows "
            f"and {size[1]} columns"
        )
    if not 0 <= unit.class_number < num_classes:
        raise UserError(f"the model has classes 0 to {num_classes - 1}, not {unit.class_number}")


def inmost_unit(label: np.ndarray, class_number: int) -> Unit | None:
    """Return the unit of a class at the pixel deepest inside it; None where it does not occur.

    Args:
        label: Integers `[H, W]`.
        class_number: The class.
    """
    inside = np.pad(label == class_number, 1)
    if not inside.any():
        return None
    depth = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return Unit(int(row), int(column), class_number)


def share_inside(field: np.ndarray, unit: Unit, radius: float) -> float:
    """Return the share of a map that lies within a radius of its unit.

    Args:
        field: A map, not negative anywhere and not zero everywhere, `[H, W]`.
        unit: The unit of the map.
        radius: A distance between centres of pixels, in px.
    """
    return float(field[_distance(field, unit) <= radius].sum() / field.sum())


def radius_holding(field: np.ndarray, unit: Unit, share: float) -> float:
    """Return the least radius around a unit, in px, that holds a share of its map.

    Args:
        field: A map, not negative anywhere and not zero everywhere, `[H, W]`.
        unit: The unit of the map.
        share: A share of the sum of the map, in 0..1.
    """
    distance = _distance(field, unit).ravel()
    order = distance.argsort()
    held = field.ravel()[order].cumsum()
    return float(distance[order][np.searchsorted(held, share * held[-1])])


def level_holding(field: np.ndarray, share: float) -> float:
    """Return the value whose contour encloses the smallest area that holds a share of a map.

    Args:
        field: A map, not negative anywhere and not zero everywhere, `[H, W]`.
        share: A share of the sum of the map, in 0..1.
    """
    values = np.sort(field, axis=None)[::-1]
    held = values.cumsum()
    return float(values[np.searchsorted(held, share * held[-1])])


def recentre(fields: Sequence[np.ndarray], units: Sequence[Unit]) -> np.ndarray:
    """Average maps after moving their units onto each other (Zhou et al. 2015, section 3.2).

    Args:
        fields: Maps `[H, W]`, all of one size.
        units: The unit of each map.

    Returns:
        float64 `[2 H - 1, 2 W - 1]` with the unit in the middle: at each place the mean of the maps
            that reach it, 0 where none does.
    """
    height, width = fields[0].shape
    total = np.zeros((2 * height - 1, 2 * width - 1))
    count = np.zeros_like(total)
    for field, unit in zip(fields, units, strict=True):
        rows = slice(height - 1 - unit.row, 2 * height - 1 - unit.row)
        columns = slice(width - 1 - unit.column, 2 * width - 1 - unit.column)
        total[rows, columns] += field
        count[rows, columns] += 1
    return total / np.maximum(count, 1)


def _distance(field: np.ndarray, unit: Unit) -> np.ndarray:
    height, width = field.shape
    rows, columns = np.arange(height)[:, None], np.arange(width)
    return np.hypot(rows - unit.row, columns - unit.column)
