"""Reading images of another number of channels than three: as many as a run asks for, untouched.

Values of 8 bits are uint8; those of 16 are uint16 in 0..65535, however many bits they use: 255 and
65535 are one brightness.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gcn_jax import extras
from gcn_jax.data.decoding import Opened, check_plausible, open_image
from gcn_jax.data.images import ORIENTATION, ImageFacts
from gcn_jax.data.npy import load_npy
from gcn_jax.data.problems import Problem
from gcn_jax.data.tiff import load_tiff, needs_tifffile

#: Steps of uint16 in one of uint8: 65535 / 255.
_FINER = 257
#: EXIF's number of how a picture is turned -> what makes it upright.
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, 3),
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: np.rot90,
}


def load_channels(
    path: Path, channels: int, bit_depth: int | None = None
) -> tuple[np.ndarray, ImageFacts]:
    """Read a file that stores so many channels.

    Args:
        path: An image file, of grey (1 channel), grey and alpha (2) or red, green, blue and a
            fourth; a TIFF of any bands; or a `.npy` file, uint8 or uint16 `[H, W, C]` or `[H, W]`.
        channels: C.
        bit_depth: How many bits values of 16 bits use, 8..16; None for all. What is above them
            becomes 65535, and shows in the facts.

    Returns:
        `[H, W, C]`, uint8 or uint16; with a bit depth it is uint16. And what neighbours should
        share.

    Raises:
        Problem: The file is missing, damaged, of another number of channels, or of another type.
    """
    orientation = 1
    if path.suffix.lower() == ".npy":
        values = _load_array(path)
    elif needs_tifffile(path):
        values, orientation = load_tiff(path)
    else:
        with open_image(path, str(path)) as opened:
            check_plausible(opened, str(path))
            orientation = int(opened.image.getexif().get(ORIENTATION, 1))
            values = _stored(opened, path)
    if values.shape[2] != channels:
        raise Problem(
            "channels",
            f"{path}: it has {values.shape[2]} channel{'s' * (values.shape[2] != 1)}, where "
            f"data.channels is {channels}; all images have as many",
        )
    values = _UPRIGHT.get(orientation, np.asarray)(values)
    stored = None
    if values.dtype == np.uint16:
        stored = int(values.max(initial=0))
        values = _whole_range(values, bit_depth or 16)
    elif bit_depth is not None:
        values = finer(values)
    highest = int(values.max(initial=0)) // (_FINER if values.dtype == np.uint16 else 1)
    facts = ImageFacts(stored is not None, highest, orientation, stored)
    return np.ascontiguousarray(values), facts


def finer(image: np.ndarray) -> np.ndarray:
    """Return an image as uint16, uint8 in finer steps.

    Args:
        image: uint8 or uint16, of any shape.
    """
    return image if image.dtype == np.uint16 else image.astype(np.uint16) * np.uint16(_FINER)


def _whole_range(values: np.ndarray, bit_depth: int) -> np.ndarray:
    """Spread values of so many bits, uint16, over 0..65535."""
    if bit_depth == 16:
        return values
    top = 2**bit_depth - 1
    spread = (np.minimum(values, top).astype(np.uint32) * 65535 + top // 2) // top
    return spread.astype(np.uint16)


def _stored(opened: Opened, path: Path) -> np.ndarray:
    """Return what an image file stores, `[H, W, C]`; a palette becomes colours."""
    mode = opened.image.mode
    if mode == "1":
        return np.asarray(opened.image.convert("L"))[..., None]
    if mode == "L" or mode.startswith("I;16"):
        return np.asarray(opened.image)[..., None]
    if mode == "LA":
        return np.asarray(opened.image)
    with extras.explained():
        import cv2  # Pillow drops the fourth channel of a TIFF

    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3 or values.dtype not in (np.uint8, np.uint16):
        raise Problem(
            "unreadable file", f"{path}: its channels cannot be read as 8 or 16 bits (mode {mode})"
        )
    return values[..., [2, 1, 0, 3][: values.shape[2]]]


def _load_array(path: Path) -> np.ndarray:
    try:
        values = load_npy(path)
    except FileNotFoundError:
        raise Problem("missing file", f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise Problem("unreadable file", f"{path}: not a readable array ({error})") from None
    if not isinstance(values, np.ndarray):  # several, of a .npz
        raise Problem("unreadable file", f"{path}: not one array")
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or values.dtype not in (np.uint8, np.uint16) or not values.size:
        raise Problem(
            "unreadable file",
            f"{path}: {values.dtype} {list(values.shape)}; an image is uint8 or uint16 [H, W, C]",
        )
    return values
