"""Labels as pictures: colours, overlays and legends, for `predict.py` and the HTML report."""

import base64
import functools
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gcn_jax import atomic
from gcn_jax.models.preprocessing import as_rgb

#: The sizes of a legend, in pixels.
_FONT_SIZE, _MIN_LEGEND_WIDTH = 13, 160
_PAPER, _INK = (255, 255, 255), (32, 32, 32)

#: Of a large picture, which is painted in parts.
_PIXELS_AT_A_TIME = 2**20

#: Pixels up to which a picture is written as small as it can be.
_EFFORT_PIXELS = 2**23

#: What `error_map` gives, and the colours it is shown in: right, wrong, void.
RIGHT, WRONG, VOID = 0, 1, 2
ERROR_NAMES = ("right", "wrong", "void, not scored")
ERROR_PALETTE = np.array([(222, 222, 222), (213, 35, 35), (120, 144, 180)], np.uint8)


def full_palette(colors: Sequence[Sequence[int]]) -> np.ndarray:
    """Return a palette of 256 rows, uint8 `[256, 3]`, from one colour for each class.

    Args:
        colors: (red, green, blue) in 0..255 for each class; labels beyond them become grey.
    """
    palette = np.full((256, 3), 128, np.uint8)
    palette[: len(colors)] = colors
    return palette


def overlay(
    image: np.ndarray, label: np.ndarray, palette: np.ndarray, alpha: float = 0.5
) -> np.ndarray:
    """Lay the colours of a label map over its image.

    Args:
        image: uint8 or uint16 `[H, W, C]`, shown as `as_rgb` does.
        label: Integers `[H, W]`, rows of the palette.
        palette: uint8 `[K, 3]`.
        alpha: Weight of the colours in 0..1; 0 is the image, 1 the colours.

    Returns:
        uint8 `[H, W, 3]`.
    """
    mixed = np.empty((*label.shape, 3), np.uint8)
    for rows in _blocks(label):
        colors = palette[label[rows]].astype(np.float32)
        mixed[rows] = np.rint((1 - alpha) * as_rgb(image[rows]).astype(np.float32) + alpha * colors)
    return mixed


def _blocks(label: np.ndarray) -> Iterator[slice]:
    """Go through the rows of a picture, so many at a time that little memory is needed."""
    rows = max(1, _PIXELS_AT_A_TIME // label.shape[1])
    return (slice(first, first + rows) for first in range(0, len(label), rows))


def hatch(picture: np.ndarray, where: np.ndarray, period: int = 10) -> np.ndarray:
    """Draw black and white diagonal stripes, which no class has, over a part of a picture.

    Args:
        picture: uint8 `[H, W, 3]`.
        where: bool `[H, W]`.
        period: From stripe to stripe, in pixels.

    Returns:
        uint8 `[H, W, 3]`.
    """
    height, width = where.shape
    diagonals = np.arange(height)[:, None] + np.arange(width)
    is_white = diagonals % period < period // 2
    stripes = np.where(is_white, np.uint8(235), np.uint8(20))[..., None]
    return np.where(where[..., None], stripes, picture)


def shrink(label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a label map by nearest neighbour.

    Args:
        label: Integers `[H, W]` in 0..255.
        size: The (width, height) to have, in pixels.

    Returns:
        uint8 `[height, width]`.
    """
    picture = Image.fromarray(label.astype(np.uint8))
    return np.asarray(picture.resize(size, Image.Resampling.NEAREST))


def error_map(label: np.ndarray, prediction: np.ndarray, ignore_label: int) -> np.ndarray:
    """Mark each pixel as right, wrong or void.

    Args:
        label: Integers `[H, W]`.
        prediction: Integers `[H, W]`.
        ignore_label: The label of void.

    Returns:
        uint8 `[H, W]` of `RIGHT`, `WRONG` and `VOID`, the rows of `ERROR_PALETTE`.
    """
    wrong = np.where(label == prediction, RIGHT, WRONG)
    return np.where(label == ignore_label, VOID, wrong).astype(np.uint8)


def legend(names: Sequence[str], colors: Sequence[Sequence[int]], width: int) -> np.ndarray:
    """Draw swatches and names in as many rows as a width needs; wide pictures get large letters.

    Args:
        names: What to write; a name that is too long for the width is cut.
        colors: (red, green, blue) in 0..255 for each name.
        width: Pixels in a row of the picture.

    Returns:
        uint8 `[H, width, 3]`.
    """
    size = max(_FONT_SIZE, width // 50)
    gap = size // 2
    font = _font(size)
    x = y = gap
    places: list[tuple[int, int]] = []
    for name in names:
        entry_width = size + gap + int(font.getlength(name)) + gap
        if x > gap and x + entry_width > width:
            x, y = gap, y + size + gap
        places.append((x, y))
        x += entry_width
    picture = Image.new("RGB", (width, y + size + gap), _PAPER)
    draw = ImageDraw.Draw(picture)
    for name, color, (x, y) in zip(names, colors, places, strict=True):
        box = (x, y, x + size - 1, y + size - 1)
        draw.rectangle(box, fill=tuple(map(int, color)), outline=_INK)
        draw.text((x + size + gap // 2, y + size // 2), name, fill=_INK, font=font, anchor="lm")
    return np.asarray(picture)


def overlay_with_legend(
    image: np.ndarray, label: np.ndarray, palette: np.ndarray, class_names: Sequence[str]
) -> Image.Image:
    """Lay a label map over its image, and write below it which classes are in it.

    Args:
        image: As `overlay` takes it.
        label: Integers `[H, W]`, each a class.
        palette: uint8 `[256, 3]`.
        class_names: One name for each class.

    Returns:
        A picture of (width, height) W', H' with H' > H; W' is W, or what a legend needs at least.
    """
    classes = sorted(set().union(*(np.unique(label[rows]).tolist() for rows in _blocks(label))))
    width = max(image.shape[1], _MIN_LEGEND_WIDTH)
    strip = legend([class_names[number] for number in classes], palette[classes].tolist(), width)
    picture = Image.new("RGB", (width, len(label) + len(strip)), _PAPER)
    for rows in _blocks(label):
        part = overlay(image[rows], label[rows], palette)
        picture.paste(Image.fromarray(part), (0, rows.start))
    picture.paste(Image.fromarray(strip), (0, len(label)))
    return picture


@functools.lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own knows no letters beyond ASCII.
    return ImageFont.truetype(Path(__file__).parent / "fonts/DejaVuSans.ttf", size)


def indexed(label: np.ndarray, palette: np.ndarray) -> Image.Image:
    """Return a palette image whose pixel values are the labels.

    Args:
        label: Integers `[H, W]` in 0..255.
        palette: uint8 `[256, 3]`.
    """
    picture = Image.fromarray(label.astype(np.uint8, copy=False), mode="P")
    picture.putpalette(palette.tobytes())
    return picture


def encode(picture: Image.Image, file_type: str = "PNG") -> bytes:
    """Return the bytes of an image file.

    Args:
        picture: What it shows.
        file_type: "PNG" (exact) or "JPEG" (smaller).
    """
    buffer = io.BytesIO()
    # JPEG without chroma subsampling: thin red errors stay red.
    options = {"quality": 88, "subsampling": 0} if file_type == "JPEG" else {"optimize": True}
    picture.save(buffer, file_type, **options)
    return buffer.getvalue()


def write(path: str | Path, picture: Image.Image) -> None:
    """Write a picture as PNG, a large one with less effort; it is there whole or not at all.

    Args:
        path: The file; folders that are missing are made.
        picture: The picture.

    Raises:
        UserError: The file cannot be written there.
    """
    is_large = picture.width * picture.height > _EFFORT_PIXELS
    with atomic.replacing(path) as file:
        picture.save(file, "PNG", **({"compress_level": 3} if is_large else {"optimize": True}))


def data_uri(picture: Image.Image, file_type: str) -> str:
    """Return a picture as the `data:` address that an HTML page can hold.

    Args:
        picture: The picture.
        file_type: "PNG" (exact) or "JPEG" (smaller).
    """
    encoded = base64.b64encode(encode(picture, file_type)).decode("ascii")
    return f"data:image/{file_type.lower()};base64,{encoded}"
