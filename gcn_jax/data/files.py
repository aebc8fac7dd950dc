"""Reading the images, masks and lists that people have, and saying plainly what is wrong."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.png import check_png
from gcn_jax.data.problems import Problem

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
        Problem: The file is missing, damaged, not an image, or has pixels of 32 bits.
    """
    name = name or str(file)
    with _open(file, name) as image:
        if image.mode in ("I", "F"):
            raise Problem(
                "unreadable file",
                f"{name}: 32-bit pixels (mode {image.mode}), and nothing says what is white; save "
                "the image with 8 or 16 bits",
            )
        if image.mode.startswith("I;16"):  # 16-bit grey: convert() would clip it at 255
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        ImageOps.exif_transpose(image, in_place=True)
        # A copy of an RGB image would take as long as half of its decoding.
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def read_mask(path: str | Path) -> np.ndarray:
    """Read a mask file as class indices: palette images give their indices, never their colours.

    Returns:
        uint8 `[H, W]`, the values that the file holds, whatever its bit depth.

    Raises:
        Problem: The file is missing, damaged, a colour image, a JPEG, or has values above 255.
    """
    with _open(path, str(path)) as image:
        if image.format == "JPEG":
            raise Problem(
                "lossy mask",
                f"{path}: a JPEG, which changes the class numbers along edges, where a mask "
                "belongs; save it as PNG, from the original",
            )
        if image.mode not in _INDEX_MODES:
            raise Problem(
                "colour mask",
                f"{path}: a colour image (mode {image.mode}) where a mask of class indices "
                "belongs; save it as an indexed (palette) or 8-bit grey PNG whose pixel values "
                f"are the class numbers, {IGNORE_LABEL} for void",
            )
        mask = np.asarray(image)
        if image.format == "PNG":
            mask = mask // _png_grey_factor(path)
    if mask.size and (mask.max() > 255 or mask.min() < 0):
        message = f"{path}: mask values reach {mask.max()}; class numbers are 0..254"
        raise Problem("label out of range", message)
    return mask.astype(np.uint8)


def pair_problems(
    image: np.ndarray | None, mask: np.ndarray, num_classes: int, name: str
) -> Iterator[Problem]:
    """Find out whether a mask fits its image and its classes.

    Args:
        image: uint8 `[H, W, 3]`; None where it cannot be read.
        mask: uint8 `[H, W]`.
        num_classes: How many classes there are; labels are below it, or `IGNORE_LABEL`.
        name: What to call the mask in a problem.

    Yields:
        What is wrong: the sizes differ, labels are neither a class nor void.
    """
    if image is not None and image.shape[:2] != mask.shape:
        yield Problem(
            "size mismatch",
            f"{name}: the mask is {mask.shape[1]}x{mask.shape[0]} pixels, its image "
            f"{image.shape[1]}x{image.shape[0]}; they must be equal (width x height)",
        )
    bad = mask[(mask >= num_classes) & (mask != IGNORE_LABEL)]
    if bad.size:
        values, counts = np.unique(bad, return_counts=True)
        found = ", ".join(f"{value} ({n} px)" for value, n in zip(values, counts, strict=True))
        yield Problem(
            "label out of range",
            f"{name}: label {found} where the {num_classes} classes are 0..{num_classes - 1} "
            f"and {IGNORE_LABEL} is void; correct the mask or add the missing class names",
        )


def encode_png(array: np.ndarray) -> io.BytesIO:
    """Encode uint8 `[H, W]` or `[H, W, 3]` as PNG, quickly rather than small."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=1)
    buffer.seek(0)
    return buffer


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that are not blank, without the spaces around them.

    Raises:
        Problem: The file is missing, cannot be read, or is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # with or without Windows' mark
    except FileNotFoundError:
        raise Problem("missing file", f"{path}: no such file") from None
    except OSError as error:
        raise Problem("unreadable file", f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        message = f"{path}: not UTF-8 text ({error}); save it as UTF-8"
        raise Problem("unreadable file", message) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _png_grey_factor(path: str | Path) -> int:
    """By how much Pillow multiplies a PNG's values: it spreads grey of 2 or 4 bits to 0..255."""
    with open(path, "rb") as file:
        depth, color_type = file.read(26)[24:]  # in the header chunk, which comes first
    return 255 // (2**depth - 1) if color_type == 0 and depth in (2, 4) else 1


@contextlib.contextmanager
def _open(file: str | Path | io.BytesIO, name: str) -> Iterator[Image.Image]:
    """Open and decode an image; what is found wrong with it becomes a `Problem`."""
    try:
        with Image.open(file) as image:
            # Bytes in memory are of a prepared copy: they were checked before it was made, and its
            # records have checksums of their own.
            if image.format == "PNG" and not isinstance(file, io.BytesIO):
                check_png(Path(file).read_bytes())
            image.load()  # decode now, so that a truncated file is found here
            yield image
    except Problem:
        raise
    except FileNotFoundError:
        raise Problem("missing file", f"{name}: no such file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        message = f"{name}: not a readable image ({error})"
        raise Problem("unreadable file", message) from None
