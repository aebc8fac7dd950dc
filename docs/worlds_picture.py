"""Draw the picture of the worlds in docs/studies.md: `python docs/worlds_picture.py`.

A row each of `shapes` and three of its kin: the first four validation images, and what is in them.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from readme_picture import join

from gcn_jax import data
from gcn_jax.report import pictures

_WORLDS = ("shapes", "shapes_outlines", "shapes_thin", "shapes_large")
_COUNT, _SIDE = 4, 160


def main() -> None:
    """Write docs/worlds.png."""
    rows = []
    for world in _WORLDS:
        source = data.open_split(f"{world}:val", {})
        palette = pictures.full_palette(source.palette)
        cells = []
        for index in range(_COUNT):
            image, label = (source[index][name] for name in ("image", "label"))
            cells += [_fit(image, Image.Resampling.LANCZOS)]
            cells += [_fit(palette[label], Image.Resampling.NEAREST)]
        rows.append(join(cells, axis=1))
    target = Path(__file__).with_name("worlds.png")
    picture = Image.fromarray(join(rows, axis=0))
    picture.quantize(192, dither=Image.Dither.NONE).save(target, optimize=True)
    print(target)


def _fit(picture: np.ndarray, resampling: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((_SIDE, _SIDE), resampling))


if __name__ == "__main__":
    main()
