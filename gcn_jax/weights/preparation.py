"""Preparation of images, as transformers writes it into the `preprocessor_config.json`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

#: (red, green, blue), in 0..255.
Color = tuple[float, float, float]

#: The file's name.
PREPROCESSOR = "preprocessor_config.json"


class Preparation(NamedTuple):
    """Preparation of the images that a network was trained on.

    Attributes:
        mean: What is subtracted, RGB in 0..255.
        std: By what they are divided then.
        size: Height and width, in px, where they are known.
    """

    mean: Color
    std: Color
    size: tuple[int, int] | None = None


def read_preparation(settings: Mapping[str, Any]) -> Preparation | None:
    """Read how images are prepared.

    Args:
        settings: What the file holds: `image_mean` and `image_std` for images in 0..1, and
            perhaps a `size`, a number or `height` and `width`.

    Returns:
        The preparation; None where the settings do not say mean and standard deviation.
    """
    try:
        mean, std = (as_color(settings[key]) for key in ("image_mean", "image_std"))
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    if not is_usable(mean, std):
        return None
    match settings.get("size"):
        case int(side) if side > 0:
            return Preparation(mean, std, (side, side))
        case {"height": int(height), "width": int(width)} if min(height, width) > 0:
            return Preparation(mean, std, (height, width))
    return Preparation(mean, std)


def as_color(values: Sequence[float]) -> Color:
    """Return a colour in 0..255 of one in 0..1.

    Args:
        values: Its three channels.

    Raises:
        ValueError: They are not three numbers; other kinds of errors for other kinds of values.
    """
    red, green, blue = (round(255 * float(value), 6) for value in values)
    return red, green, blue


def is_usable(mean: Color, std: Color) -> bool:
    """Whether images can be normalised so.

    Args:
        mean: What is subtracted.
        std: By what they are divided then.
    """
    return all(map(math.isfinite, (*mean, *std))) and min(std) > 0
