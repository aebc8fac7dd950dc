"""The classes of the published data sets that published networks were trained on.

They are told apart from the builders, which need TFDS: an imported network needs their names alone.
"""

from pathlib import Path
from typing import NamedTuple

from gcn_jax.data.builders.camvid_colors import CLASSES
from gcn_jax.data.classes import ClassTable, class_colors, voc_palette
from gcn_jax.data.files import read_lines

#: VOC's 21 classes, in the order of the published label images, with VOC's colours.
VOC_CLASSES = ClassTable(
    (
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat",
        "chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant",
        "sheep", "sofa", "train", "tvmonitor",
    ),
    class_colors(voc_palette(), 21),
)  # fmt: skip

#: CamVid's 11 classes, in the order of SegNet's label images.
CAMVID_CLASSES = ClassTable(tuple(CLASSES), tuple(CLASSES.values()), void_color=(0, 0, 0))


class _CityscapesClass(NamedTuple):
    """One of Cityscapes' 19 classes: its name, its number in the published masks, its colour."""

    name: str
    label_id: int
    color: tuple[int, int, int]


_CITYSCAPES = (
    _CityscapesClass("road", 7, (128, 64, 128)),
    _CityscapesClass("sidewalk", 8, (244, 35, 232)),
    _CityscapesClass("building", 11, (70, 70, 70)),
    _CityscapesClass("wall", 12, (102, 102, 156)),
    _CityscapesClass("fence", 13, (190, 153, 153)),
    _CityscapesClass("pole", 17, (153, 153, 153)),
    _CityscapesClass("traffic_light", 19, (250, 170, 30)),
    _CityscapesClass("traffic_sign", 20, (220, 220, 0)),
    _CityscapesClass("vegetation", 21, (107, 142, 35)),
    _CityscapesClass("terrain", 22, (152, 251, 152)),
    _CityscapesClass("sky", 23, (70, 130, 180)),
    _CityscapesClass("person", 24, (220, 20, 60)),
    _CityscapesClass("rider", 25, (255, 0, 0)),
    _CityscapesClass("car", 26, (0, 0, 142)),
    _CityscapesClass("truck", 27, (0, 0, 70)),
    _CityscapesClass("bus", 28, (0, 60, 100)),
    _CityscapesClass("train", 31, (0, 80, 100)),
    _CityscapesClass("motorcycle", 32, (0, 0, 230)),
    _CityscapesClass("bicycle", 33, (119, 11, 32)),
)

#: Cityscapes' 19 classes, in the order of the benchmark's train ids, with its colours.
CITYSCAPES_CLASSES = ClassTable(
    tuple(one.name for one in _CITYSCAPES),
    tuple(one.color for one in _CITYSCAPES),
    void_color=(0, 0, 0),
)

#: The number of each of them in the published masks.
CITYSCAPES_IDS = tuple(one.label_id for one in _CITYSCAPES)


def ade20k_classes() -> ClassTable:
    """Read ADE20K's 150 classes, in the order of the published numbers."""
    lines = read_lines(Path(__file__).parent / "ids/ade20k_classes.txt")
    names, *colors = zip(*(line.split() for line in lines), strict=True)
    red, green, blue = (map(int, channel) for channel in colors)
    return ClassTable(names, tuple(zip(red, green, blue, strict=True)), void_color=(0, 0, 0))
