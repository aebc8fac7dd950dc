"""PASCAL VOC 2012, segmentation: 1,464 train, 1,449 val, 1,456 test images; 20 classes and ground.

Everingham et al., *The PASCAL Visual Object Classes Challenge: A Retrospective* (IJCV 2015),
host.robots.ox.ac.uk/pascal/VOC/voc2012.
"""

from pathlib import Path

from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.published import PublishedBuilder
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.files import read_lines
from gcn_jax.data.problems import Pair

#: The 21 classes, in the order of the published label images, with VOC's colours.
VOC_CLASSES = ClassTable(
    (
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat",
        "chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant",
        "sheep", "sofa", "train", "tvmonitor",
    )
)  # fmt: skip


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


class VocSegmentation(VocPhotographs, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """VOC 2012 from a development kit (`VOCdevkit`, or the folder around it) or by download.

    Splits: train, val, trainval (both), and test, without labels, where the folder has
    `ImageSets/Segmentation/test.txt` and its images; the archive that may be downloaded without
    registration has no test images. Borders of objects are void, as published.
    """

    archive = Archive(
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "VOC2012",
        "sha256:e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
    )
    places = ("", "VOC2012", "VOCdevkit/VOC2012")
    landmark = "ImageSets/Segmentation/train.txt"
    layout = "VOCdevkit/VOC2012 (JPEGImages/, SegmentationClass/, ImageSets/), or a folder above"

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


def voc_ids(split: str) -> tuple[str, ...]:
    """The ids of VOC 2012's images, which ship with this package.

    Args:
        split: "train" (1,464), "val" (1,449), or "trainaug" (10,582), the training set of most
            papers: (VOC train and all of SBD) without VOC val.
    """
    return tuple(read_lines(Path(__file__).parent / f"ids/voc2012_{split}.txt"))
