"""Reading the masks and lists that people have, and saying plainly what is wrong."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.decoding import Opened, check_plausible, open_image
from gcn_jax.data.images import decode_deep
from gcn_jax.data.npy import map_npy
from gcn_jax.data.problems import Problem
from gcn_jax.data.statistics import count_values
from gcn_jax.errors import setting

#: Suffixes that count as images when a folder is listed, and as masks.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MASK_SUFFIXES = (*IMAGE_SUFFIXES, ".gif", ".npy")

#: Modes of Pillow whose pixels are one whole number: palette, grey, bilevel, 16 and 32 bit.
_BYTE_MODES = ("P", "L", "1")
_INDEX_MODES = (*_BYTE_MODES, "I;16", "I;16B", "I")
#: Modes of Pillow with channels that may all say the same.
_CHANNEL_MODES = ("RGB", "RGBA", "LA")

#: EXIF's numbers of how a picture is turned that exchange height and width.
_ON_ITS_SIDE = (5, 6, 7, 8)


class MaskFacts(NamedTuple):
    """Properties of a mask file that its neighbours should share.

    Attributes:
        values: The values that the file holds, as they are stored, sorted.
        colors: The colours that the file's palette gives to its values: of those values whose
            colour is theirs alone. Empty for masks without a palette.
    """

    values: tuple[int, ...]
    colors: Mapping[int, tuple[int, int, int]]


def read_mask(path: str | Path) -> np.ndarray:
    """Read a mask file as class indices: palette images give their indices, never their colours.

    Returns:
        uint8 `[H, W]`, the values that the file holds, whatever its bit depth.

    Raises:
        Problem: See `load_mask`.
    """
    return load_mask(path)[0]


def load_mask(path: str | Path, void_labels: Collection[int] = ()) -> tuple[np.ndarray, MaskFacts]:
    """Read a mask file as class indices, and what its neighbours should share.

    Args:
        path: An image file of indices: palette, grey, or several channels that are all equal (with
            full alpha); or a `.npy` file of whole numbers.
        void_labels: Values of the file that become `IGNORE_LABEL`.

    Returns:
        uint8 `[H, W]`, the values that the file holds, whatever its bit depth.

    Raises:
        Problem: The file is missing, damaged, a colour image, compressed with losses, holds
            several pictures, or has values that are not 0..255.
    """
    if Path(path).suffix.lower() == ".npy":
        mask, palette, is_gif = _read_npy(path), [], False
    else:
        with open_image(path, str(path)) as opened:
            mask, palette = _indices(opened, path), _palette(opened.image)
            is_gif = opened.image.format == "GIF"
    small = mask.dtype in (np.uint8, bool)
    found = np.flatnonzero(count_values(mask)) if small else np.unique(mask)
    if len(void_labels):
        mask = np.where(np.isin(mask, list(void_labels)), IGNORE_LABEL, mask)
    if mask.size and (mask.max() > 255 or mask.min() < 0):
        value = mask.max() if mask.max() > 255 else mask.min()
        message = f"{path}: mask values reach {value}; class numbers are 0..254"
        if np.count_nonzero((found > 255) | (found < 0)) == 1:
            void = setting("data.void_labels")
            message += f"; where {value} means unlabelled, set {void}='({value},)'"
        raise Problem("label out of range", message)
    values = tuple(int(value) for value in found)
    colors = {value: palette[value] for value in values if 0 <= value < len(palette)}
    if is_gif:
        _check_renumbering(path, colors)
    own = {value: color for value, color in colors.items() if palette.count(color) == 1}
    return mask.astype(np.uint8), MaskFacts(values, own)


def _indices(opened: Opened, path: str | Path) -> np.ndarray:
    """The whole numbers that an image file stores."""
    image = opened.image
    if opened.is_lossy:
        raise Problem(
            "lossy mask",
            f"{path}: a {image.format}, which changes the class numbers along edges, where a mask "
            "belongs; save it as PNG, from the original",
        )
    if image.mode not in _BYTE_MODES:
        check_plausible(opened, str(path), bytes_per_pixel=32)
    if image.mode in _CHANNEL_MODES:
        if opened.is_deep:  # of which Pillow keeps the upper 8 bits, where class numbers are not
            channels = decode_deep(path, str(path))
        else:
            channels = np.asarray(ImageOps.exif_transpose(image))
        is_opaque = (channels[..., -1] == np.iinfo(channels.dtype).max).all()
        if "A" in image.mode and is_opaque:
            channels = channels[..., :-1]
        if (channels == channels[..., :1]).all():
            return channels[..., 0]
    if image.mode not in _INDEX_MODES:
        kind = "grey with transparent pixels" if image.mode == "LA" else "a colour image"
        raise Problem(
            "colour mask",
            f"{path}: {kind} (mode {image.mode}) where a mask of class indices "
            "belongs; save it as an indexed (palette) or 8-bit grey PNG whose pixel values "
            f"are the class numbers, {IGNORE_LABEL} for void (`gcn-jax data convert` makes them of "
            "colours)",
        )
    return _as_stored(np.asarray(ImageOps.exif_transpose(image)), opened.raw_mode, path)


def _as_stored(mask: np.ndarray, raw_mode: str, path: str | Path) -> np.ndarray:
    """Undo what Pillow does with greys: it spreads those of 2 or 4 bits to 0..255."""
    kind, _, how = raw_mode.partition(";")
    if kind == "L" and "I" in how:
        raise Problem(
            "colour mask",
            f"{path}: greys of which 0 is white, and nothing says whether the class numbers are "
            "those of the file or of the picture; save the mask as PNG, from the original",
        )
    few_bits = kind == "L" and how[:1] in ("2", "4")
    return mask // (255 // (2 ** int(how[0]) - 1)) if few_bits else mask


def _check_renumbering(path: str | Path, colors: Mapping[int, tuple[int, int, int]]) -> None:
    """Refuse a grey GIF: programs store grey n as any index whose colour is n."""
    greys = {value: color[0] for value, color in colors.items() if len(set(color)) == 1}
    moved = [f"{grey} is {value}" for value, grey in greys.items() if grey != value]
    black_and_white = set(greys.values()) <= {0, 255}
    if moved and len(greys) == len(colors) and not black_and_white:
        raise Problem(
            "colour mask",
            f"{path}: a GIF of greys whose numbers are not their values ({', '.join(moved[:3])}), "
            "as programs store grey there; save the mask as PNG, from the original",
        )


def _read_npy(path: str | Path) -> np.ndarray:
    try:
        # Mapped, the array that the header promises is never larger than the file.
        mask = map_npy(path)
    except FileNotFoundError:
        raise Problem("missing file", f"{path}: no such file") from None
    except Exception as error:  # of Python's own parser, too, which reads the header
        message = f"{path}: not a readable array ({error})"
        raise Problem("unreadable file", message) from None
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype.kind not in "iub":
        raise Problem(
            "kind of file",
            f"{path}: an array of shape {np.shape(mask)} and type {getattr(mask, 'dtype', '?')}; a "
            "mask has two dimensions, height and width, of whole numbers",
        )
    return np.array(mask)


def _palette(image: Image.Image) -> list[tuple[int, int, int]]:
    """The stored colours of an image's indices; none where each is grey as its number says."""
    flat = image.getpalette() if image.mode == "P" else None
    colors = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True)) if flat else []
    return [] if all(color == (i, i, i) for i, color in enumerate(colors)) else colors


def pair_problems(
    image: np.ndarray | None, mask: np.ndarray, num_classes: int, name: str, orientation: int = 1
) -> Iterator[Problem]:
    """Find out whether a mask fits its image and its classes.

    Args:
        image: uint8 `[H, W, 3]`; None where it cannot be read.
        mask: uint8 `[H, W]`.
        num_classes: How many classes there are; labels are below it, or `IGNORE_LABEL`.
        name: What to call the mask in a problem.
        orientation: EXIF's number of how the image was turned to be upright; 1 for not at all.

    Yields:
        What is wrong: the sizes differ, labels are neither a class nor void.
    """
    if image is not None and image.shape[:2] != mask.shape:
        yield Problem(
            "size mismatch",
            f"{name}: the mask is {mask.shape[1]}x{mask.shape[0]} pixels, its image "
            f"{image.shape[1]}x{image.shape[0]}; they must be equal (width x height)"
            + _turned(image.shape[:2], mask.shape, orientation),
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


def _turned(image: tuple[int, ...], mask: tuple[int, ...], orientation: int) -> str:
    if orientation not in _ON_ITS_SIDE or image != mask[::-1]:
        return ""
    return (
        f". The image is turned upright by its EXIF orientation {orientation}, and the mask is "
        "not: turn the mask, too; or, where it was drawn on the pixels as they are stored, take "
        "the orientation off the image (`exiftool -Orientation= FILE`)"
    )


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
