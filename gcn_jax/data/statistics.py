"""The frequencies of classes, and the class weights that follow from them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.errors import check_choice

#: Pixels that are counted at once: NumPy makes int64 of them.
_BLOCK = 1 << 20


def count_values(mask: np.ndarray) -> np.ndarray:
    """Count how often each value occurs, with little memory however large the mask is.

    Args:
        mask: uint8 or bool, of any shape.

    Returns:
        int64 `[256]`.
    """
    counts, flat = np.zeros(256, np.int64), mask.ravel().view(np.uint8)
    for start in range(0, flat.size, _BLOCK):
        counts += np.bincount(flat[start : start + _BLOCK], minlength=256)
    return counts


@dataclasses.dataclass(frozen=True, eq=False)
class LabelStatistics:
    """Pixel counts of the labels of some images; those of several splits add up.

    Attributes:
        pixels: int64 `[C]`, the pixels of each class.
        image_pixels: int64 `[C]`, the labelled pixels of the images that hold the class.
        images: int64 `[C]`, how many images hold the class.
        void: The pixels without a class.
    """

    pixels: np.ndarray
    image_pixels: np.ndarray
    images: np.ndarray
    void: int

    @classmethod
    def empty(cls, num_classes: int) -> "LabelStatistics":
        """Return the counts of no image.

        Args:
            num_classes: C.
        """
        pixels, image_pixels, images = np.zeros((3, num_classes), np.int64)
        return cls(pixels, image_pixels, images, 0)

    @classmethod
    def of(cls, label: np.ndarray, num_classes: int) -> "LabelStatistics":
        """Count the labels of one image.

        Args:
            label: uint8 `[H, W]`, classes 0..C-1, or 255 for void.
            num_classes: C.
        """
        counts = count_values(label)
        pixels = counts[:num_classes]
        present = (pixels > 0).astype(np.int64)
        return cls(pixels, pixels.sum() * present, present, int(counts[IGNORE_LABEL]))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "LabelStatistics":
        """Undo `to_json`."""
        pixels, image_pixels, images = (
            np.asarray(values[key]) for key in ("pixels", "image_pixels", "images")
        )
        return cls(pixels, image_pixels, images, values["void"])

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as lists and numbers."""
        return {
            "pixels": self.pixels.tolist(),
            "image_pixels": self.image_pixels.tolist(),
            "images": self.images.tolist(),
            "void": self.void,
        }

    def times(self, factor: float) -> "LabelStatistics":
        """Return the counts of so many copies, rounded."""
        pixels, image_pixels, images = (
            np.rint(counts * factor).astype(np.int64)
            for counts in (self.pixels, self.image_pixels, self.images)
        )
        return LabelStatistics(pixels, image_pixels, images, round(self.void * factor))

    def __add__(self, other: "LabelStatistics") -> "LabelStatistics":
        return LabelStatistics(
            self.pixels + other.pixels,
            self.image_pixels + other.image_pixels,
            self.images + other.images,
            self.void + other.void,
        )


def class_weights(method: str, statistics: LabelStatistics) -> np.ndarray:
    """Return the weight of each class in a loss, from how often it occurs in training.

    Args:
        method: A key of `CLASS_WEIGHTS`.
        statistics: The counts of the training labels.

    Returns:
        float32 `[C]`; a class that does not occur has weight 0.

    Raises:
        UserError: There is no such method.
    """
    check_choice("class weights", method, CLASS_WEIGHTS)
    occurs = statistics.pixels > 0
    weights = np.zeros(len(occurs), np.float32)
    weights[occurs] = CLASS_WEIGHTS[method](
        statistics.pixels[occurs], statistics.image_pixels[occurs]
    )
    return weights


def _median_frequency(pixels: np.ndarray, image_pixels: np.ndarray) -> np.ndarray:
    # A class's frequency is its share of the images that hold it (Eigen & Fergus 2015, sec. 6.3.2;
    # Badrinarayanan et al., SegNet, sec. 3.2); the weight is the median of all over it.
    frequency = pixels / image_pixels
    return np.median(frequency) / frequency


def _inverse_log(pixels: np.ndarray, image_pixels: np.ndarray) -> np.ndarray:
    # 1 / ln(1.02 + share of all labelled pixels), 1.4 to 50 (Paszke et al., ENet 2016, sec. 4).
    del image_pixels
    return 1 / np.log(1.02 + pixels / pixels.sum())


def _balanced(pixels: np.ndarray, image_pixels: np.ndarray) -> np.ndarray:
    # 1 / share: the mean weight of a labelled pixel is 1 (scikit-learn's "balanced").
    del image_pixels
    return pixels.sum() / (len(pixels) * pixels)


#: Methods by name: functions of the pixels of each class and of the images that hold it.
CLASS_WEIGHTS = {
    "median_frequency": _median_frequency,
    "inverse_log": _inverse_log,
    "balanced": _balanced,
}
