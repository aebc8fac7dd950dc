"""Draw the picture on the README's first page: `python docs/readme_picture.py runs/quickstart`.

Eight validation images of `shapes`, what is in them, and what the trained network makes of them.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from gcn_jax import models
from gcn_jax.data.shapes import world as shapes
from gcn_jax.report import pictures

#: Images of the validation split (seed 2).
_INDICES = range(8)
_ZOOM, _GAP = 2, 6


def main(workdir: str) -> None:
    """Write docs/quickstart.png."""
    model, variables, info, _ = models.load_pretrained(workdir)
    palette = pictures.full_palette(info.palette)
    columns = []
    for index in _INDICES:
        example = shapes.render(2, index)
        prediction = models.predict(model, variables, example["image"])
        cells = (example["image"], palette[example["label"]], palette[prediction])
        columns.append(join([cell.repeat(_ZOOM, 0).repeat(_ZOOM, 1) for cell in cells], axis=0))
    target = Path(__file__).with_name("quickstart.png")
    Image.fromarray(join(columns, axis=1)).save(target, optimize=True)
    print(target)


def join(cells: list[np.ndarray], axis: int) -> np.ndarray:
    """Put pictures uint8 `[H, W, 3]` in a row (axis 1) or a column (axis 0), white between them."""
    shape = list(cells[0].shape)
    shape[axis] = _GAP
    gap = np.full(shape, 255, np.uint8)
    return np.concatenate([p for cell in cells for p in (cell, gap)][:-1], axis=axis)


if __name__ == "__main__":
    main(sys.argv[1])
