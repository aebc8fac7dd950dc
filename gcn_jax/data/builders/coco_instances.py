"""From COCO's annotated instances to labels of VOC's classes.

The rule: a pixel has the class of the instances that cover it. It is void where instances of
different classes overlap, because COCO does not say which is in front, and wherever a crowd region
of one of the 20 classes lies, because its outline is loose. All else, objects of the 60 other
classes too, is background.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.problems import Problem

#: COCO's number of a category -> VOC's label.
VOC_LABELS = {
    5: 1, 2: 2, 16: 3, 9: 4, 44: 5, 6: 6, 3: 7, 17: 8, 62: 9, 21: 10,
    67: 11, 18: 12, 19: 13, 4: 14, 1: 15, 64: 16, 20: 17, 63: 18, 7: 19, 72: 20,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Instances:
    """The annotated objects of one image that are of VOC's classes.

    Attributes:
        key: COCO's number of the image, 12 digits.
        file_name: The name of its file.
        size: (height, width) in pixels.
        annotations: COCO's entries, with `category_id`, `iscrowd`, `area`, `segmentation`.
        source: The file that they come from.
    """

    key: str
    file_name: str
    size: tuple[int, int]
    annotations: Sequence[Mapping[str, Any]]
    source: Path

    def __str__(self) -> str:
        """Where to look when something is wrong."""
        return f"{self.source}: image {self.key}"

    @property
    def area(self) -> float:
        """The area of the objects, as annotated, in pixels; crowds count nothing."""
        return sum(one["area"] for one in self.annotations if not one["iscrowd"])

    def rasterise(self) -> np.ndarray:
        """Draw the labels, uint8 `[H, W]`, by the rule of this module.

        Raises:
            Problem: A segmentation is of no known form or size.
        """
        label = np.zeros(self.size, np.uint8)
        void = np.zeros(self.size, bool)
        for one in self.annotations:
            try:
                covered = decode(one["segmentation"], *self.size)
            except Exception as error:  # pycocotools raises whatever the form leads to
                message = f"{self}: annotation {one.get('id')} has no readable segmentation"
                raise Problem("unreadable file", f"{message} ({error!r})") from None
            number = VOC_LABELS[one["category_id"]]
            if one["iscrowd"]:
                void |= covered
            else:
                void |= covered & (label != 0) & (label != number)
                label[covered] = number
        label[void] = IGNORE_LABEL
        return label


def decode(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Rasterise one segmentation, as pycocotools does.

    Args:
        segmentation: Polygons `[[x, y, x, y, ...], ...]`, or a run-length code `{"size": [H, W],
            "counts": ...}` whose counts are a list, or compressed to text.
        height: The image's height, in pixels.
        width: The image's width, in pixels.

    Returns:
        bool `[H, W]`. A polygon of fewer than three points covers nothing.

    Raises:
        ValueError: The run-length code is of another size, or too short or long for it.
    """
    if isinstance(segmentation, list):
        polygons = [points for points in segmentation if len(points) >= 6]
        if not polygons:
            return np.zeros((height, width), bool)
        code = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    else:
        code = segmentation
        if list(code["size"]) != [height, width]:
            raise ValueError(f"its size is {code['size']}, its image's {[height, width]}")
        if isinstance(code["counts"], list):
            if sum(code["counts"]) != height * width:
                raise ValueError(f"its runs are {sum(code['counts'])} pixels long")
            code = coco_mask.frPyObjects(code, height, width)
    mask = coco_mask.decode(code)
    if mask.sum() != coco_mask.area(code):  # pycocotools leaves the rest as the memory was
        raise ValueError("its runs end before the image does")
    return mask.astype(bool)


def read_instances(path: Path, min_area: float = 0) -> list[Instances]:
    """Read a file of annotations, in the order of the images' numbers.

    Args:
        path: Such as `annotations/instances_train2014.json`.
        min_area: Images whose objects of VOC's classes have a smaller `Instances.area` are left
            out, as are those that have none but crowds.

    Raises:
        Problem: The file is missing or is not one of COCO's.
    """
    try:
        content = json.loads(path.read_bytes())
        kept: dict[int, list] = {}
        for one in content["annotations"]:
            if one["category_id"] in VOC_LABELS:
                kept.setdefault(one["image_id"], []).append(one)
        images = sorted(content["images"], key=lambda image: image["id"])
        found = [
            Instances(
                key=f"{image['id']:012d}",
                file_name=image["file_name"],
                size=(image["height"], image["width"]),
                annotations=kept[image["id"]],
                source=path,
            )
            for image in images
            if not all(one["iscrowd"] for one in kept.get(image["id"], ()))
        ]
        return [instances for instances in found if instances.area >= min_area]
    except FileNotFoundError:
        raise Problem("missing file", f"{path}: no such file") from None
    except (ValueError, KeyError, TypeError) as error:
        message = f"{path}: not a file of COCO's instances ({error!r})"
        raise Problem("unreadable file", message) from None
