"""Reading the image and mask files that people have, and saying plainly what is wrong with one."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gcn_jax import IGNORE_LABEL
from gcn_jax.errors import UserError

#: Suffixes that count as images when a folder is listed.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

#: Modes of Pillow whose pixels are one whole number: palette, grey, bilevel, 16 and 32 bit.
_INDEX_MODES = ("P", "L", "1", "I;16", "I")


def read_image(file: str | Path | io.BytesIO, name: str | None = None) -> np.ndarray:
    """Read an image file of any mode as RGB.

    Args:
        file: A path, or a file object of encoded bytes.
        name: What to call the file in an error; by default its path.

    Returns:
        uint8 `[H, W, 3]`, turned upright where the file says so (EXIF orientation).

    Raises:
        UserError: The file is missing, damaged, or not an image.
    """
    with _open(file, name or str(file)) as image:
        if image.mode.startswith("I;16"):  # 16-bit grey: convert() would clip it at 255
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def read_mask(file: str | Path | io.BytesIO, name: str | None = None) -> np.ndarray:
    """Read a mask file as class indices: palette images give their indices, never their colours.

    Args:
        file: A path, or a file object of encoded bytes.
        name: What to call the file in an error; by default its path.

    Returns:
        uint8 `[H, W]`.

    Raises:
        UserError: The file is missing, damaged, a colour image, or has values above 255.
    """
    name = name or str(file)
    with _open(file, name) as image:
        if image.mode not in _INDEX_MODES:
            raise UserError(
                f"{name}: a colour image (mode {image.mode}) where a mask of class indices "
                "belongs; save it as an indexed (palette) or 8-bit grey PNG whose pixel values "
                f"are the class numbers, {IGNORE_LABEL} for void"
            )
        mask = np.asarray(image)
    if mask.size and (mask.max() > 255 or mask.min() < 0):
        raise UserError(f"{name}: mask values reach {mask.max()}; class numbers are 0..254")
    return mask.astype(np.uint8)


def check_pair(image: np.ndarray, mask: np.ndarray, num_classes: int, name: str) -> None:
    """Check that a mask fits its image and its classes.

    Args:
        image: uint8 `[H, W, 3]`.
        mask: uint8 `[H, W]`.
        num_classes: How many classes there are; labels are below it, or `IGNORE_LABEL`.
        name: What to call the mask in an error.

    Raises:
        UserError: The sizes differ, or a label is neither a class nor void.
    """
    if image.shape[:2] != mask.shape:
        raise UserError(
            f"{name}: the mask is {mask.shape[1]}x{mask.shape[0]} pixels, its image "
            f"{image.shape[1]}x{image.shape[0]}; they must be equal (width x height)"
        )
    bad = mask[(mask >= num_classes) & (mask != IGNORE_LABEL)]
    if bad.size:
        values, counts = np.unique(bad, return_counts=True)
        found = ", ".join(f"{value} ({n} px)" for value, n in zip(values, counts, strict=True))
        raise UserError(
            f"{name}: label {found} where the {num_classes} classes are 0..{num_classes - 1} "
            f"and {IGNORE_LABEL} is void; correct the mask or add the missing class names"
        )


def encode_png(array: np.ndarray) -> io.BytesIO:
    """Encode uint8 `[H, W]` or `[H, W, 3]` as PNG, quickly rather than small."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=1)
    buffer.seek(0)
    return buffer


def _open(file, name: str) -> Image.Image:
    try:
        image = Image.open(file)
        image.load()  # decode now, so that a truncated file is found here
    except FileNotFoundError:
        raise UserError(f"{name}: no such file") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{name}: not a readable image ({error})") from None
    return image
