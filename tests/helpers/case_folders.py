"""Small folders with one thing wrong, or odd, as users had them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("background", "box", "disc")
COLORS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)

#: Writes an array to a path; the number is that of the example.
Write = Callable[[np.ndarray, Path, int], None]


def scene(number: int, height: int = 48, width: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """An image with a box and a disc (which is a box, too), and its mask."""
    rng = np.random.default_rng(number)
    image = rng.integers(0, 120, (height, width, 3)).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[4 + number : 18 + number, 5:23] = 1
    mask[20:30, 40 + number : 55 + number] = 2
    image[mask == 1] = 230, 40, 40
    image[mask == 2] = 40, 220, 60
    return image, mask


def plain(array: np.ndarray, path: Path, number: int) -> None:
    """Write as it is."""
    del number
    Image.fromarray(array).save(path)


def make_folder(
    root: Path,
    mask: Write = plain,
    image: Write = plain,
    names: Sequence[str] = NAMES,
    stem: str = "img{}",
    image_suffix: str = ".png",
    num_val: int = 2,
) -> Path:
    """Write eight examples, the last of them for validation, and their class names.

    Args:
        root: The folder, which must not exist.
        mask: Writes a mask.
        image: Writes an image.
        names: The class names.
        stem: The names of masks.
        image_suffix: The kind of image file.
        num_val: How many of them are in val.
    """
    for i in range(8):
        split = "val" if i >= 8 - num_val else "train"
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        pixels, label = scene(i)
        image(pixels, root / "images" / split / f"img{i}{image_suffix}", i)
        mask(label, root / "masks" / split / f"{stem.format(i)}.png", i)
    (root / "classes.txt").write_text("\n".join(names))
    return root


def shuffled_palette(mask: np.ndarray, path: Path, number: int) -> None:
    """Write a palette PNG whose order of colours is another in every file."""
    order = np.random.default_rng(number).permutation(3)
    image = Image.fromarray(np.argsort(order)[mask].astype(np.uint8), "P")
    image.putpalette(COLORS[order].ravel().tolist())
    image.save(path)


def turned(orientation: int) -> Write:
    """Write a JPEG with an EXIF orientation.

    Args:
        orientation: 1 to 8.
    """

    def write(array: np.ndarray, path: Path, number: int) -> None:
        del number
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(array).save(path, exif=exif)

    return write


def deep(white: int) -> Write:
    """Write grey of 16 bits, in which a value stands for white.

    Args:
        white: The value.
    """

    def write(array: np.ndarray, path: Path, number: int) -> None:
        del number
        grey = array.astype(np.float64).mean(-1) / 255 * white
        Image.fromarray(grey.astype(np.uint16)).save(path)

    return write
