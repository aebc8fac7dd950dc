"""Small images with masks, as a user might have them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

CLASS_NAMES = ("background", "square", "disc")


def draw_example(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, ...]:
    """A reddish square and a bluish disc on grey noise, with void around them as in VOC."""
    image = rng.integers(90, 150, (height, width, 3)).astype(np.uint8)
    label = np.zeros((height, width), np.uint8)
    y, x = np.mgrid[:height, :width]
    for number, color in ((1, (220, 40, 40)), (2, (40, 60, 220))):
        cy, cx = rng.integers(8, height - 8), rng.integers(8, width - 8)
        distance = np.hypot(y - cy, x - cx) if number == 2 else np.maximum(abs(y - cy), abs(x - cx))
        label[distance <= 6] = 255
        label[distance <= 5] = number
        image[distance <= 5] = np.clip(rng.normal(color, 10, image[distance <= 5].shape), 0, 255)
    return image, label


def save_mask(label: np.ndarray, path: Path) -> None:
    """Save labels as VOC does: a palette PNG whose colours are not its indices."""
    mask = Image.fromarray(label, "P")
    mask.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    mask.save(path)


def parallel_folders(root: Path, count: int = 20, subfolders: Sequence[str] = ()) -> None:
    """images/ and masks/, each with so many files, in so many subfolders."""
    rng = np.random.default_rng(0)
    root.mkdir()
    (root / "classes.txt").write_text("\n".join(CLASS_NAMES))
    for split in subfolders or ("",):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            image, label = draw_example(rng, 32, 40)
            Image.fromarray(image).save(root / "images" / split / f"{i}.png")
            save_mask(label, root / "masks" / split / f"{i}.png")
