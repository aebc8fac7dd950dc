"""From COCO's annotated instances to labels of VOC's classes.

The rule: a pixel has the class of the instances that cover it. It is void where instances of
different classes overlap, because COCO does not say which is in front, and wherever a crowd region
of one of the 20 classes lies, because its outline is loose. All else, objects of the 60 other
classes too, is background.
"""

import dataclasses
import json
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.builders.coco_masks import LONGEST_OUTLINE, decode, is_number, outline_length
from gcn_jax.data.problems import Problem

#: COCO's number of a category -> VOC's label.
VOC_LABELS = {
    5: 1, 2: 2, 16: 3, 9: 4, 44: 5, 6: 6, 3: 7, 17: 8, 62: 9, 21: 10,
    67: 11, 18: 12, 19: 13, 4: 14, 1: 15, 64: 16, 20: 17, 63: 18, 7: 19, 72: 20,
}  # fmt: skip

#: The longest side and the most pixels of an image, and the most pixels of all masks of one.
LONGEST_SIDE, MOST_PIXELS, MOST_MASK_PIXELS = 65_535, 2**26, 2**29


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
        outlines = 0.0
        if len(self.annotations) * label.size > MOST_MASK_PIXELS:
            message = f"{self}: {len(self.annotations)} objects of {label.size} pixels each"
            raise Problem("unreadable file", f"{message}; {MOST_MASK_PIXELS} in all are the most")
        for one in self.annotations:
            try:
                outlines += outline_length(one["segmentation"], *self.size)
                if outlines > LONGEST_OUTLINE:
                    raise ValueError("the outlines of its image are too long")
                covered = decode(one["segmentation"], *self.size)
            except Exception as error:  # pycocotools raises whatever the form leads to
                message = f"{self}: annotation {one.get('id')} has no readable segmentation"
                raise Problem("unreadable file", f"{message} ({error})") from None
            number = VOC_LABELS[one["category_id"]]
            if one["iscrowd"]:
                void |= covered
            else:
                void |= covered & (label != 0) & (label != number)
                label[covered] = number
        label[void] = IGNORE_LABEL
        return label


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
            if _is_whole(one["category_id"]) and one["category_id"] in VOC_LABELS:
                kept.setdefault(_checked_annotation(one)["image_id"], []).append(one)
        images = sorted(map(_checked_image, content["images"]), key=lambda image: image["id"])
        numbers = [image["id"] for image in images]
        if len(set(numbers)) < len(numbers):
            twice = next(a for a, b in zip(numbers, numbers[1:], strict=False) if a == b)
            raise ValueError(f"image {twice} is there more than once")
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
    except OSError as error:
        raise Problem("unreadable file", f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else repr(error)
        message = f"{path}: not a file of COCO's instances ({reason})"
        raise Problem("unreadable file", message) from None


def _checked_annotation(one: Any) -> dict[str, Any]:
    """Return an annotation whose fields are what they have to be; `decode` looks at its mask."""
    area, crowd = one["area"], one["iscrowd"]
    is_area = is_number(area) and area >= 0
    for name, is_right, rule in (
        ("image_id", _is_whole(one["image_id"]), "the number of an image"),
        ("iscrowd", type(crowd) is int and crowd in (0, 1), "0 or 1"),
        ("area", is_area, "a number of pixels"),
        ("segmentation", isinstance(one["segmentation"], list | dict), "polygons or runs"),
    ):
        if not is_right:
            number, value = reprlib.repr(one.get("id")), reprlib.repr(one[name])
            raise ValueError(f"annotation {number}: {name} is {value}; it is {rule}")
    return one


def _checked_image(image: Any) -> dict[str, Any]:
    """Return an image's entry whose fields are what they have to be."""
    file_name = image["file_name"]
    sides = [image["height"], image["width"]]
    for name, is_right, rule in (
        ("id", _is_whole(image["id"]), "a whole number from 0 on"),
        ("file_name", isinstance(file_name, str) and file_name.isprintable(), "a name"),
        *(
            (name, _is_whole(side) and 1 <= side <= LONGEST_SIDE, f"1 to {LONGEST_SIDE} pixels")
            for name, side in zip(("height", "width"), sides, strict=True)
        ),
    ):
        if not is_right:
            number, value = reprlib.repr(image["id"]), reprlib.repr(image[name])
            raise ValueError(f"image {number}: {name} is {value}; it is {rule}")
    if sides[0] * sides[1] > MOST_PIXELS:
        raise ValueError(
            f"image {image['id']}: it has {sides[0]} x {sides[1]} pixels; {MOST_PIXELS} are the "
            "most"
        )
    return image


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63
