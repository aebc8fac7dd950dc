"""SBD, masks for 11,355 photographs of VOC 2011: 8,498 train and 2,857 val, the 21 classes of VOC.

Hariharan et al., *Semantic contours from inverse detectors* (ICCV 2011),
www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.locating import Form
from gcn_jax.data.builders.mat_file import read_field
from gcn_jax.data.builders.voc_segmentation import VocPhotographs, voc_ids
from gcn_jax.data.files import read_lines
from gcn_jax.data.problems import Pair, Problem

_PLACE = "Research/Projects/CS/vision/grouping/semantic_contours"


class Sbd(VocPhotographs):
    """The Semantic Boundaries Dataset from its folder `benchmark_RELEASE`, or by download.

    Splits: train and val as published, 545 and 558 of whose images are in VOC 2012 val, and
    train_noval, the 9,118 images that are in neither VOC 2012 train nor val: with VOC's own
    train they are the 10,582 images ("trainaug") that most papers train on. (torchvision means
    another split by that name, 5,623 images, none of them in the *detection* set's val.)

    The masks have no void: objects meet without a border between them.
    """

    homepage = f"https://www2.eecs.berkeley.edu/{_PLACE}/"
    citation = """@inproceedings{hariharan2011semantic,
  title = {Semantic contours from inverse detectors},
  author = {Hariharan, Bharath and Arbel{\\'a}ez, Pablo and Bourdev, Lubomir and Maji, Subhransu and
            Malik, Jitendra},
  booktitle = {International Conference on Computer Vision (ICCV)},
  year = {2011}
}"""
    forms = (
        Form(
            "benchmark_RELEASE/dataset (img/, cls/, train.txt, val.txt), or a folder above",
            ("cls", "img"),
            (
                Archive(
                    f"http://www2.eecs.berkeley.edu/{_PLACE}/benchmark.tgz",
                    "md5:82b4d87ceb2ed10f6038a1cba92111cb",
                    mirrors=(f"http://www.eecs.berkeley.edu/{_PLACE}/benchmark.tgz",),
                ),
            ),
        ),
    )

    def _find_splits(self, root: Path) -> dict[str, list[Pair]]:
        ids = {split: read_lines(root / f"{split}.txt") for split in ("train", "val")}
        ids["train_noval"] = without_voc(ids["train"] + ids["val"])
        return {
            split: [(key, root / f"img/{key}.jpg", root / f"cls/{key}.mat") for key in keys]
            for split, keys in ids.items()
        }

    def _load_label(self, path: Path) -> tuple[np.ndarray, None]:
        return read_mat(path), None


def without_voc(ids: Iterable[str]) -> list[str]:
    """Leave out the images of VOC 2012 train and val, and keep the order."""
    voc = {*voc_ids("train"), *voc_ids("val")}
    return [key for key in ids if key not in voc]


def read_mat(path: Path) -> np.ndarray:
    """Read the labels of one of SBD's files: `GTcls.Segmentation`, uint8 `[H, W]`.

    Raises:
        Problem: The file is damaged or holds something else.
    """
    try:
        label = read_field(path.read_bytes(), "GTcls", "Segmentation")
        if label.ndim != 2:
            raise ValueError(f"GTcls.Segmentation is uint8 {label.shape}, not uint8 [H, W]")
    except OSError as error:
        raise Problem("unreadable file", f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        message = f"{path}: no readable GTcls.Segmentation ({error})"
        raise Problem("unreadable file", message) from None
    return label
