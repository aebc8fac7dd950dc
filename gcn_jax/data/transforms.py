"""The transforms of an image and its labels between the disk and the batch.

Every function maps `{"image": uint8 [H, W, 3], "label": uint8 [H, W]}` to the same, and takes its
random numbers from the generator it is given; images may have another number of channels, and be
uint16, whose 0..65535 is 0..255 in finer steps. Labels are resized by nearest neighbour only, and
what an image does not cover is void.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import grain
import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.extra_augment import ExtraAugment
from gcn_jax.errors import UserError

Example = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Augment(grain.transforms.RandomMap):
    """The training transform, of which happens what is asked for, in this order.

    Turn by quarters, rotate, scale, crop, blur, jitter, a function of the user's, pad, flip.

    The paper's setting (section 4: "mean subtraction and horizontal flip", images padded to one
    size, no resizing) is `flip=True` and a `crop_size` as large as the largest image.

    Rotation, by up to 10 degrees, and Gaussian blur are PSPNet's (Zhao et al. 2017). How often, and
    how much blur, are those of the authors' later code (github.com/hszhao/semseg).

    Attributes:
        crop_size: (height, width) of what comes out; smaller images are padded at the bottom and
            at the right, larger ones are cropped at a random place.
        flip: Whether to mirror left and right, with probability 1/2.
        scale: (lowest, highest) factor of the image's size, drawn log-uniformly; None for 1.
        jitter: Brightness, contrast and saturation are each multiplied by a factor drawn from
            [1 - jitter, 1 + jitter]; 0 for none.
        rotation: The largest angle, in degrees: with probability 1/2 the image is turned about its
            centre by one drawn from [-rotation, rotation]; 0 for none.
        blur: Whether to blur with probability 1/2 (`gaussian_blur`).
        vertical_flip: Whether to mirror top and bottom, with probability 1/2.
        quarter_turns: Whether to turn by 0, 90, 180 or 270 degrees, each as likely; the crop is
            taken from the turned image.
        extra: A function of the user's, called with the crop before it is padded; None for none.
        fill: The colour of what an image does not cover, (red, green, blue) in 0..255, or one of
            each channel: the mean that the model subtracts, so that it is zero to it.
    """

    crop_size: tuple[int, int]
    flip: bool = True
    scale: tuple[float, float] | None = None
    jitter: float = 0.0
    rotation: float = 0.0
    blur: bool = False
    vertical_flip: bool = False
    quarter_turns: bool = False
    extra: ExtraAugment | None = None
    fill: tuple[float, ...] = (0.0, 0.0, 0.0)

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
        if not 0 <= self.rotation <= 180:
            raise UserError(
                f"augment.rotation is {self.rotation}; it lies between 0 and 180, in degrees"
            )

    @classmethod
    def from_settings(
        cls, settings: Mapping[str, Any], num_classes: int, fill: tuple[float, ...]
    ) -> "Augment":
        """Make the transform that a config describes.

        Args:
            settings: The `augment` section.
            num_classes: What labels are below, void aside.
            fill: See `Augment`.

        Raises:
            UserError: A setting cannot be meant, or `extra` names no function; see `ExtraAugment`.
        """
        spec = settings.get("extra")
        extra = ExtraAugment(spec, num_classes) if spec else None
        return cls(**{**settings, "extra": extra, "fill": fill})

    def random_map(self, element: dict[str, Any], rng: np.random.Generator) -> Example:
        """Transform one example.

        Args:
            element: The example, from the source, with its "id"; Grain names the argument.
            rng: The source of randomness of this example.
        """
        image, label = element["image"], element["label"]
        if self.quarter_turns:
            turns = int(rng.integers(4))
            image, label = np.rot90(image, turns), np.rot90(label, turns)
        if self.rotation and rng.random() < 0.5:
            angle = rng.uniform(-self.rotation, self.rotation)
            image, label = rotate(image, label, angle, self.fill)
        scale = 1.0
        if self.scale is not None:
            scale = float(np.exp(rng.uniform(*np.log(self.scale))))
        image, label = scale_and_crop(image, label, scale, self.crop_size, rng)
        if self.blur and rng.random() < 0.5:
            image = gaussian_blur(image)
        if self.jitter:
            image = jitter_colors(image, self.jitter, rng)
        if self.extra is not None:
            image, label = self.extra(image, label, rng, element["id"])
        image, label = pad(image, label, self.crop_size, self.fill)
        if self.vertical_flip and rng.random() < 0.5:
            image, label = _flip(image, 0), cv2.flip(label, 0)
        if self.flip and rng.random() < 0.5:
            image, label = _flip(image, 1), cv2.flip(label, 1)
        return {"image": np.ascontiguousarray(image), "label": np.ascontiguousarray(label)}


def _is_pair(value: Any, kind: Any) -> bool:
    is_sequence = isinstance(value, tuple | list)
    return is_sequence and len(value) == 2 and all(isinstance(number, kind) for number in value)


def _on_channels(
    function: Callable[..., np.ndarray], image: np.ndarray, *fill: tuple[int, ...]
) -> np.ndarray:
    """Apply what OpenCV does to at most four channels: to the three at once, else one by one."""
    if image.shape[2] == 3:
        return function(image, *fill)
    channels = [
        function(np.ascontiguousarray(image[..., i]), *(values[i] for values in fill))
        for i in range(image.shape[2])
    ]
    return np.stack(channels, axis=-1)


def _flip(image: np.ndarray, axis: int) -> np.ndarray:
    return _on_channels(lambda array: cv2.flip(array, axis), image)


def rotate(
    image: np.ndarray, label: np.ndarray, angle: float, fill: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Turn both about their centre by an angle in degrees, counter-clockwise; their size stays.

    The image is interpolated bilinearly, the label takes its nearest neighbour. Where the picture
    has moved away, the image has the colour `fill` and the label is void.

    Args:
        image: uint8 `[H, W, 3]`.
        label: uint8 `[H, W]`.
        angle: In degrees.
        fill: RGB in 0..255.
    """
    height, width = label.shape
    # The centre of the pixels' middles: OpenCV puts the middle of the first one at 0.
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)

    def turn(array: np.ndarray, border: Any, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
        return cv2.warpAffine(
            array, matrix, (width, height), flags=interpolation, borderValue=border
        )

    label = turn(label, IGNORE_LABEL, cv2.INTER_NEAREST)
    return _on_channels(turn, image, _rounded(fill, image.dtype)), label


def scale_and_crop(
    image: np.ndarray,
    label: np.ndarray,
    scale: float,
    crop_size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Resize by a factor, and crop at a random place what is then larger than `crop_size`.

    The crop comes first, so that only pixels that are kept are resized: a window of whole pixels,
    drawn uniformly, that has the crop's size once resized (hence its factor is that of `crop_size`
    to a whole number of pixels). The image is resized bilinearly, below a factor of 1/2, where
    that would skip pixels, by averaging areas; the label takes its nearest neighbour. All of them
    take the middle of a pixel for its place, so image and label stay aligned.

    Args:
        image: uint8 `[H, W, 3]`.
        label: uint8 `[H, W]`.
        scale: The factor, above 0.
        crop_size: Height and width of the crop.
        rng: The source of randomness of the place.
    """
    window, new_size = [], []
    for size, crop in zip(label.shape, crop_size, strict=True):
        scaled = max(1, round(size * scale))
        kept = size if scaled <= crop else min(size, max(1, round(crop / scale)))
        start = int(rng.integers(size - kept + 1))
        window.append(slice(start, start + kept))
        new_size.append(min(scaled, crop))
    image, label = image[*window], label[*window]
    if label.shape == tuple(new_size):
        return image, label
    width_height = new_size[::-1]
    smooth = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    image = _on_channels(lambda array: cv2.resize(array, width_height, interpolation=smooth), image)
    # INTER_NEAREST would take the corner of a pixel for its place.
    label = cv2.resize(label, width_height, interpolation=cv2.INTER_NEAREST_EXACT)
    return image, label


def gaussian_blur(image: np.ndarray) -> np.ndarray:
    """Blur with a 5 x 5 kernel, 1 4 6 4 1 (over 16) along each axis; the border is mirrored.

    It is what OpenCV takes for a Gaussian of this size where no deviation is given.
    """
    return _on_channels(lambda array: cv2.GaussianBlur(array, (5, 5), 0), image)


def jitter_colors(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Multiply brightness, contrast and saturation by factors in [1 - amount, 1 + amount].

    Contrast is the distance from the image's mean grey, saturation the distance of a pixel from its
    own grey (luma of ITU-R BT.601). Each is a linear map of colours, so one map does all three,
    and what leaves 0..255 is clipped once, at the end. Of other than three channels, which are no
    colours, the mean grey is that of all values, and there is no saturation.

    Args:
        image: uint8 `[H, W, 3]`.
        amount: The largest change of a factor, in 0..1.
        rng: The source of randomness.
    """
    brightness, contrast, saturation = rng.uniform(1 - amount, 1 + amount, 3)
    if image.shape[2] != 3:
        offset = (1 - contrast) * brightness * image.mean()
        changed = brightness * contrast * image + offset
        return np.clip(np.rint(changed), 0, np.iinfo(image.dtype).max).astype(image.dtype)
    grey = np.array([0.299, 0.587, 0.114])
    mean_grey = brightness * grey @ cv2.mean(image)[:3]
    matrix = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * grey)
    offset = np.full((3, 1), (1 - contrast) * mean_grey)
    return cv2.transform(image, np.hstack([matrix, offset]))


def pad(
    image: np.ndarray, label: np.ndarray, size: tuple[int, int], fill: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Pad at the bottom and the right: the image with a colour, the label with void.

    Args:
        image: uint8 `[H, W, 3]`.
        label: uint8 `[H, W]`.
        size: The least height and width.
        fill: RGB in 0..255.
    """
    height, width = label.shape
    if (height, width) == tuple(size):
        return image, label
    borders = (0, size[0] - height, 0, size[1] - width, cv2.BORDER_CONSTANT)
    image = _on_channels(
        lambda array, value: cv2.copyMakeBorder(array, *borders, value=value),
        image,
        _rounded(fill, image.dtype),
    )
    return image, cv2.copyMakeBorder(label, *borders, value=IGNORE_LABEL)


def _rounded(color: tuple[float, ...], dtype: np.dtype) -> tuple[int, ...]:
    """Return a colour in 0..255, rounded, as an image of that type has it."""
    scale = np.iinfo(dtype).max // 255
    return tuple(scale * round(value) for value in color)
