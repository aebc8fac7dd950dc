"""Reading the images that people have as 8-bit RGB: of any mode, upright, of any bit depth."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from gcn_jax import extras
from gcn_jax.data.decoding import Opened, check_plausible, open_image
from gcn_jax.data.problems import Problem

#: EXIF's tag of how a picture is turned; 1 is upright.
ORIENTATION = 0x0112
#: Of a large image, which is taken over from Pillow in parts.
_PIXELS_AT_A_TIME = 2**24


class ImageFacts(NamedTuple):
    """Properties of an image file that its neighbours should share.

    Attributes:
        is_deep: Whether it stores 16 bits a channel.
        highest: The largest value in it as it was read, 0..255.
        orientation: EXIF's number of how it is turned to be upright; 1 for not at all.
        stored: The largest value of a file of 16 bits as it is stored, 0..65535; None where only
            the upper 8 bits were read.
    """

    is_deep: bool
    highest: int
    orientation: int
    stored: int | None = None


def read_image(
    file: str | Path | io.BytesIO, name: str | None = None, bit_depth: int | None = None
) -> np.ndarray:
    """Read an image file of any mode as RGB.

    Args:
        file: A path, or a file object of encoded bytes.
        name: What to call the file in an error; by default its path.
        bit_depth: How many bits of 16 files use, 8..16; None for all.

    Returns:
        uint8 `[H, W, 3]`, turned upright where the file says so (EXIF orientation).

    Raises:
        Problem: The file is missing, damaged, not an image, holds several pictures, has pixels
            of 32 bits, or uses more bits than it should.
    """
    name = name or str(file)
    with open_image(file, name) as opened:
        array, stored = _as_rgb(opened, file, name, bit_depth)
    check_bit_depth(stored, bit_depth, name)
    return array


def check_bit_depth(stored: int | None, bit_depth: int | None, name: str) -> None:
    """Raise `Problem` where a file uses more bits than those that a network was trained on.

    Args:
        stored: The largest value of a file of 16 bits; None of others.
        bit_depth: How many bits it may use; None for all.
        name: What to call the file.
    """
    if bit_depth is not None and stored is not None and stored >> bit_depth:
        raise Problem(
            "bit depth",
            f"{name}: it holds the value {stored}, where the images that the network was trained "
            f"on have {bit_depth} bits, 0..{2**bit_depth - 1} (data.bit_depth)",
        )


def load_image(path: Path, bit_depth: int | None = None) -> tuple[np.ndarray, ImageFacts]:
    """Read an image file as `read_image` does, and what its neighbours should share.

    Args:
        path: The file.
        bit_depth: How many bits of 16 files use, 8..16; None for all. What is above them becomes
            white, and shows in the facts.

    Raises:
        Problem: See `read_image`.
    """
    with open_image(path, str(path)) as opened:
        orientation = opened.image.getexif().get(ORIENTATION, 1)
        array, stored = _as_rgb(opened, path, str(path), bit_depth)
    highest = int(array.max(initial=0))
    return array, ImageFacts(opened.is_deep, highest, int(orientation), stored)


def _as_rgb(
    opened: Opened, file: str | Path | io.BytesIO, name: str, bit_depth: int | None
) -> tuple[np.ndarray, int | None]:
    """Return the pixels as uint8 `[H, W, 3]`, and the largest value of 16-bit ones."""
    check_plausible(opened, name)
    image, stored = opened.image, None
    if image.mode in ("I", "F"):
        raise Problem(
            "unreadable file",
            f"{name}: 32-bit pixels (mode {image.mode}), and nothing says what is white; save "
            "the image with 8 or 16 bits",
        )
    is_grey = image.mode.startswith("I;16")  # convert() would clip it at 255
    if is_grey or (opened.is_deep and bit_depth is not None):
        values = np.asarray(image) if is_grey else decode_deep(file, name)[..., :3]
        stored = int(values.max(initial=0))
        image = _eight_bits(values, bit_depth or 16, image)
    ImageOps.exif_transpose(image, in_place=True)
    # A copy of an RGB image would take as long as half of its decoding.
    image = image if image.mode == "RGB" else image.convert("RGB")
    return _taken_over(image), stored


def upper_bits(values: np.ndarray, bit_depth: int) -> np.ndarray:
    """Return the upper 8 of so many bits, uint8; what has more bits becomes 255.

    Args:
        values: uint16, of any shape.
        bit_depth: How many bits they use, 8..16.
    """
    return np.minimum(values >> (bit_depth - 8), 255).astype(np.uint8)


def _eight_bits(values: np.ndarray, bit_depth: int, stored_as: Image.Image) -> Image.Image:
    """Keep the upper 8 of so many bits, and what the file says of how it is turned."""
    image = Image.fromarray(upper_bits(values, bit_depth))
    image.getexif().update(stored_as.getexif())
    return image


def _taken_over(image: Image.Image) -> np.ndarray:
    """Return an RGB image as an array; of a large one Pillow would make two copies more."""
    if image.width * image.height <= _PIXELS_AT_A_TIME:
        return np.asarray(image)
    array = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _PIXELS_AT_A_TIME // image.width)
    for first in range(0, image.height, rows):
        last = min(first + rows, image.height)
        array[first:last] = np.asarray(image.crop((0, first, image.width, last)))
    return array


def decode_deep(file: str | Path | io.BytesIO, name: str) -> np.ndarray:
    """Decode channels of 16 bits, of which Pillow keeps the upper 8; nothing is turned.

    Args:
        file: A path, or a file object of encoded bytes.
        name: What to call the file in an error.

    Returns:
        uint16 `[H, W, K]`: red, green, blue and perhaps alpha.

    Raises:
        Problem: It cannot be decoded.
    """
    with extras.explained():
        import cv2  # here: few files need it

    encoded = (
        np.frombuffer(file.getvalue(), np.uint8)
        if isinstance(file, io.BytesIO)
        else np.fromfile(file, np.uint8)
    )
    channels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if channels is None or channels.ndim != 3 or channels.dtype != np.uint16:
        raise Problem("unreadable file", f"{name}: its 16-bit channels cannot be decoded")
    return channels[..., [2, 1, 0, 3][: channels.shape[2]]]


def grey_of(image: np.ndarray) -> np.ndarray:
    """Return the luma of ITU-R BT.601, uint8 `[H, W, 1]`; grey as RGB stays as it is.

    Args:
        image: uint8 `[H, W, 3]` RGB.
    """
    return np.asarray(Image.fromarray(image).convert("L"))[..., None]


def encode_png(array: np.ndarray) -> io.BytesIO:
    """Encode uint8 `[H, W]` or `[H, W, 3]` as PNG, quickly rather than small."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=1)
    buffer.seek(0)
    return buffer
