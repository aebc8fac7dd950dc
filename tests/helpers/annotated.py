"""Photos and shapes for tests of conversions, and the masks that came out."""

from pathlib import Path

import numpy as np
from PIL import Image

from gcn_jax.data.convert import Conversion, Options, convert

#: The size of the photos.
H, W = 24, 32


def photo(path, seed=0, size=(H, W), **how):
    """Save noise as an image file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **how)


def exif(orientation):
    """Return EXIF tags that say how a photo is turned."""
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags


def box(x, y, u, v):
    """Return the outline of the pixels x..u-1, y..v-1."""
    return [x, y, u, y, u, v, x, v]


def run(source: Path, **options) -> Conversion:
    """Convert a folder to `out` beside it."""
    form = options.pop("form", None)
    options.setdefault("destination", source.parent / "out")
    return convert(source, Options(**options), form)


def mask_of(folder, name, split=""):
    """Return a mask that was written."""
    return np.asarray(Image.open(folder / "masks" / split / f"{name}.png"))
