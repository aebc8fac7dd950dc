"""One score and what it depends on in an image: in theory, by gradients, by occlusion."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flax import linen as nn
from PIL import Image

from gcn_jax.analysis.receptive_field.effective import effective_field
from gcn_jax.analysis.receptive_field.theory import OUTPUT, Reach, traced_reach
from gcn_jax.analysis.receptive_field.units import Unit, inmost_unit, level_holding, radius_holding
from gcn_jax.analysis.receptive_field.valid import Stimulus, valid_field

#: The share of a map that its contour and its radius enclose.
SHARE = 0.95


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """An image, and a unit on an object in it.

    Attributes:
        image: uint8 or uint16 `[H, W, C]`, as the network takes it.
        body: bool `[H, W]`, the pixels of the object.
        unit: Its class, at one of its pixels.
        absent: The classes of which the image has no pixel.
    """

    image: np.ndarray
    body: np.ndarray
    unit: Unit
    absent: tuple[int, ...] = ()

    def enlarged(self, scale: float) -> "Scene":
        """Return the scene resized by a factor, bilinearly."""
        height, width = (round(length * scale) for length in self.body.shape)
        body = Image.fromarray(self.body)
        row, column = (int((place + 0.5) * scale) for place in self.unit[:2])
        return Scene(
            _resized(self.image, (width, height)),
            np.asarray(body.resize((width, height), Image.Resampling.NEAREST)),
            Unit(row, column, self.unit.class_number),
            self.absent,
        )


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image of any channels resized to (width, height), bilinearly."""
    if image.shape[2] == 3:
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    channels = [
        Image.fromarray(channel).resize(size, Image.Resampling.BILINEAR)
        for channel in np.moveaxis(image, 2, 0).astype(np.float32)
    ]
    return np.rint(np.stack([np.asarray(one) for one in channels], axis=2)).astype(image.dtype)


def scene_on_object(
    image: np.ndarray, label: np.ndarray, num_classes: int, class_number: int | None = None
) -> Scene | None:
    """Put a unit deep inside the object of a class.

    Args:
        image: uint8 or uint16 `[H, W, C]`.
        label: Integers `[H, W]`; values from `num_classes` on are void.
        num_classes: Number of classes.
        class_number: The class; None for the one with most pixels, 0 (background) left out.

    Returns:
        The scene; None where there is no such object.
    """
    counts = np.bincount(label.ravel(), minlength=256)[:num_classes]
    if class_number is None:
        class_number = 1 + int(counts[1:].argmax())
    unit = inmost_unit(label, class_number)
    if unit is None:
        return None
    absent = tuple(np.flatnonzero(counts == 0).tolist())
    return Scene(image, label == class_number, unit, absent)


def scenes_of_all_classes(
    examples: Iterable[Mapping[str, Any]],
    num_classes: int,
    count: int,
    class_number: int | None = None,
) -> list[Scene]:
    """Put a unit on an object of each of the first images, of every class as often as can be.

    Images without an object, or with every class, are left out.

    Args:
        examples: Those of a source, with "image" and "label".
        num_classes: Number of classes; 0 (background) is no object.
        count: How many scenes.
        class_number: The only class whose objects are taken; None for all.

    Returns:
        The scenes, fewer where there are no more images.
    """
    taken = np.zeros(num_classes, int)
    scenes: list[Scene] = []
    for example in examples:
        if len(scenes) == count:
            break
        label = example["label"]
        there = np.bincount(label.ravel(), minlength=256)[:num_classes] > 0
        classes = [c for c in np.flatnonzero(there) if c and class_number in (None, c)]
        if classes and not there.all():
            rarest = int(min(classes, key=lambda c: taken[c]))
            scene = scene_on_object(example["image"], label, num_classes, rarest)
            assert scene is not None  # the class is there
            scenes.append(scene)
            taken[rarest] += 1
    return scenes


@dataclasses.dataclass(frozen=True, eq=False)
class Sight:
    """A scene and what its unit depends on there.

    Attributes:
        scene: The image and the unit.
        box: (top, left, bottom, right), the first and last rows and columns of the theoretical
            receptive field that lie in the image.
        effective: float32 `[H, W]`, see `effective_field`.
        valid: float32 `[H, W]`, see `valid_field`.
        stimulus: The patch of noise that changes the score most.
    """

    scene: Scene
    box: tuple[int, int, int, int]
    effective: np.ndarray
    valid: np.ndarray
    stimulus: Stimulus

    def measures(self) -> dict[str, float]:
        """Measure the three receptive fields, as the tables print them.

        Returns:
            By name, "effective_radius" and "valid_radius": the radius around the unit, in px, that
                holds 95 % of the map; "object_in_theoretical" and "object_in_valid": the share in
                0..1 of the object's pixels that lie in the theoretical field, and in the smallest
                area that holds 95 % of the valid field.
        """
        top, left, bottom, right = self.box
        body = self.scene.body
        in_field = body[top : bottom + 1, left : right + 1].sum() / body.sum()
        in_valid = (self.valid >= level_holding(self.valid, SHARE))[body].mean()
        return {
            "effective_radius": radius_holding(self.effective, self.scene.unit, SHARE),
            "valid_radius": radius_holding(self.valid, self.scene.unit, SHARE),
            "object_in_theoretical": float(in_field),
            "object_in_valid": float(in_valid),
        }


def look(
    model: nn.Module, variables: dict[str, Any], scene: Scene, *, patch: int, stride: int
) -> Sight:
    """Find out what the unit of a scene depends on.

    Args:
        model: A segmentation network of this package.
        variables: The variables of `from_pretrained`, with `preprocessing`.
        scene: The image and the unit.
        patch: Side of the square that is covered, in px.
        stride: Step between the places of the patch, in px.

    Raises:
        UserError: See `valid_field`.
    """
    unit = scene.unit
    height, width = scene.body.shape
    box = theoretical_box(model, (height, width), unit)
    effective = effective_field(model, variables, scene.image[None], [unit])[0]
    valid, stimulus = valid_field(
        model, variables, scene.image, unit, patch=patch, stride=stride, box=box
    )
    return Sight(scene, box, effective, valid, stimulus)


def theoretical_box(
    model: nn.Module, size: tuple[int, int], unit: Unit
) -> tuple[int, int, int, int]:
    """Return the first row and column and the last ones that a unit can depend on.

    Args:
        model: A segmentation network of this package.
        size: Height and width of the image, in px.
        unit: The score.
    """
    rows, columns = _output_reach(model, size)
    return (
        int(rows.first[unit.row]),
        int(columns.first[unit.column]),
        int(rows.last[unit.row]),
        int(columns.last[unit.column]),
    )


@functools.lru_cache(maxsize=16)
def _output_reach(model: nn.Module, size: tuple[int, int]) -> tuple[Reach, Reach]:
    return traced_reach(model, size)[OUTPUT]
