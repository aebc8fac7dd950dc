"""What happens to an image and its labels between the disk and the batch.

Every function maps `{"image": uint8 [H, W, 3], "label": uint8 [H, W]}` to the same, and takes its
random numbers from the generator it is given. Labels are resized by nearest neighbour only, and
what an image does not cover is void.
"""

import dataclasses
from typing import Any

import grain
import numpy as np
from PIL import Image, ImageEnhance

from gcn_jax import IGNORE_LABEL
from gcn_jax.errors import UserError

Example = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Augment(grain.transforms.RandomMap):
    """The training transform: jitter, scale, crop and flip, each only where asked for.

    The paper's setting (section 4: "mean subtraction and horizontal flip", images padded to one
    size, no resizing) is `flip=True` and a `crop_size` as large as the largest image.

    Attributes:
        crop_size: (height, width) of what comes out; smaller images are padded at the bottom and
            at the right, larger ones are cropped at a random place.
        flip: Whether to mirror left and right, with probability 1/2.
        scale: (lowest, highest) factor of the image's size, drawn log-uniformly; None for 1.
        jitter: Brightness, contrast and saturation are each multiplied by a factor drawn from
            [1 - jitter, 1 + jitter]; 0 for none.
        fill: The colour of padding, (red, green, blue) in 0..255: the mean that the model
            subtracts, so that padding is zero to it.
    """

    crop_size: tuple[int, int]
    flip: bool = True
    scale: tuple[float, float] | None = None
    jitter: float = 0.0
    fill: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self):
        """Refuse what cannot be meant."""
        if not _is_pair(self.crop_size, int) or min(self.crop_size) < 1:
            raise UserError(f"augment.crop_size is {self.crop_size}; it is (height, width), in px")
        if self.scale is not None and not (
            _is_pair(self.scale, int | float) and 0 < self.scale[0] <= self.scale[1]
        ):
            raise UserError(f"augment.scale is {self.scale}; it is (lowest, highest), above 0")
        if not 0 <= self.jitter <= 1:
            raise UserError(f"augment.jitter is {self.jitter}; it lies between 0 and 1")

    def random_map(self, element: Example, rng: np.random.Generator) -> Example:
        """Transform one example."""
        image, label = element["image"], element["label"]
        scale = 1.0
        if self.scale is not None:
            scale = float(np.exp(rng.uniform(*np.log(self.scale))))
        image, label = scale_and_crop(image, label, scale, self.crop_size, rng)
        if self.jitter:
            image = jitter_colors(image, self.jitter, rng)
        image, label = pad(image, label, self.crop_size, self.fill)
        if self.flip and rng.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        return {"image": np.ascontiguousarray(image), "label": np.ascontiguousarray(label)}


def _is_pair(value: Any, kind: Any) -> bool:
    is_sequence = isinstance(value, tuple | list)
    return is_sequence and len(value) == 2 and all(isinstance(number, kind) for number in value)


def scale_and_crop(
    image: np.ndarray,
    label: np.ndarray,
    scale: float,
    crop_size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Resize by a factor, then crop at a random place what is larger than `crop_size`.

    Only the pixels that the crop keeps are resized. The image is filtered (antialiased bilinear),
    the label takes its nearest neighbour.
    """
    height, width = (max(1, round(size * scale)) for size in label.shape)
    top, left = (
        int(rng.integers(max(0, size - crop) + 1))
        for size, crop in zip((height, width), crop_size, strict=True)
    )
    bottom, right = min(height, top + crop_size[0]), min(width, left + crop_size[1])
    if (height, width) == label.shape:
        return image[top:bottom, left:right], label[top:bottom, left:right]
    y, x = label.shape[0] / height, label.shape[1] / width
    box = (left * x, top * y, right * x, bottom * y)
    size = (right - left, bottom - top)
    image = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box)
    label = Image.fromarray(label).resize(size, Image.Resampling.NEAREST, box)
    return np.asarray(image), np.asarray(label)


def jitter_colors(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Multiply brightness, contrast and saturation by factors in [1 - amount, 1 + amount]."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(rng.uniform(1 - amount, 1 + amount))
    return np.asarray(picture)


def pad(
    image: np.ndarray, label: np.ndarray, size: tuple[int, int], fill: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Pad to `size` at the bottom and the right: the image with a colour, the label with void."""
    height, width = label.shape
    if (height, width) == tuple(size):
        return image, label
    padded = np.empty((*size, 3), np.uint8)
    padded[:] = np.round(fill)
    padded[:height, :width] = image
    void = np.full(size, IGNORE_LABEL, np.uint8)
    void[:height, :width] = label
    return padded, void
