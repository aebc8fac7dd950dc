"""Cityscapes: streets of 50 cities, 2048x1024 pixels, 19 classes; 2,975 train, 500 val, 1,525 test.

Cordts et al., *The Cityscapes Dataset for Semantic Urban Scene Understanding* (CVPR 2016),
cityscapes-dataset.com (free for research, after registration).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data import files
from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.locating import Form
from gcn_jax.data.builders.published import PublishedBuilder
from gcn_jax.data.builders.published_classes import CITYSCAPES_CLASSES, CITYSCAPES_IDS
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.problems import Pair
from gcn_jax.errors import UserError

_TRAIN_LABELS = np.full(256, IGNORE_LABEL, np.uint8)  # by the number in the published masks
_TRAIN_LABELS[[*CITYSCAPES_IDS]] = range(len(CITYSCAPES_IDS))

#: Split -> its folder, and which masks it has (None: no public ones).
_SPLITS = {
    "train": ("train", "gtFine"),
    "val": ("val", "gtFine"),
    "test": ("test", None),
    "train_coarse": ("train_extra", "gtCoarse"),
}


def _archive(name: str, *, optional: bool = False) -> Archive:
    page = "https://www.cityscapes-dataset.com/downloads/"
    return Archive(page, names=(name,), needs_login=True, optional=optional)


class Cityscapes(PublishedBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """Cityscapes from the folder that holds its archives, unpacked or not.

    The folder has `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png` and beside it `gtFine/` or
    `gtCoarse/` with `*_labelIds.png`; splits whose images are not there are left out. train_coarse
    is the 19,998 further images ("train_extra") that have coarse masks only. The masks of test
    are not public. Whatever is none of the 19 classes of the benchmark is void.
    """

    homepage = "https://www.cityscapes-dataset.com"
    citation = """@inproceedings{cordts2016cityscapes,
  title = {The Cityscapes Dataset for Semantic Urban Scene Understanding},
  author = {Cordts, Marius and Omran, Mohamed and Ramos, Sebastian and Rehfeld, Timo and Enzweiler,
            Markus and Benenson, Rodrigo and Franke, Uwe and Roth, Stefan and Schiele, Bernt},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2016}
}"""
    forms = (
        Form(
            "the folder of leftImg8bit/, gtFine/ and gtCoarse/, or a folder above",
            ("leftImg8bit", "gtFine|gtCoarse"),
            (
                _archive("leftImg8bit_trainvaltest.zip"),
                _archive("gtFine_trainvaltest.zip"),
                _archive("leftImg8bit_trainextra.zip", optional=True),
                _archive("gtCoarse.zip", optional=True),
            ),
        ),
    )
    look_alikes: Mapping[str, str] = {
        "leftimg8bit_demovideo*": "a video without labels",
        "leftimg8bit_sequence*": "the sequences",
        "leftimg8bit_blurred*": "the blurred images",
        "leftimg8bit_train*foggy*": "Foggy Cityscapes",
        "gtbbox_*": "the boxes of persons",
        "rightimg8bit*": "the right camera",
        "gtfinepanopticparts*": "panoptic parts",
    }

    @property
    def classes(self) -> ClassTable:
        """The 19 classes, in the order of the benchmark's train ids, with its colours."""
        return CITYSCAPES_CLASSES

    def _find_splits(self, root: Path) -> dict[str, list[Pair]]:
        found = {
            split: _list_pairs(root, folder, masks)
            for split, (folder, masks) in _SPLITS.items()
            if (root / "leftImg8bit" / folder).is_dir()
        }
        if not found:
            raise UserError(f"cityscapes: {root}/leftImg8bit holds no train/, val/ or test/")
        return found

    def _load_label(self, path: Path) -> tuple[np.ndarray, files.MaskFacts | None]:
        label, facts = super()._load_label(path)
        return _TRAIN_LABELS[label], facts


class CityscapesSeg(Cityscapes):
    """Cityscapes under the name that it has in TFDS, where another data set is `cityscapes`."""

    __doc__ = Cityscapes.__doc__


def _list_pairs(root: Path, folder: str, masks: str | None) -> list[Pair]:
    pairs = []
    for image in sorted((root / "leftImg8bit" / folder).glob("*/*_leftImg8bit.png")):
        key = image.name.removesuffix("_leftImg8bit.png")
        mask = masks and root / masks / folder / image.parent.name / f"{key}_{masks}_labelIds.png"
        pairs.append((key, image, mask))
    return pairs
