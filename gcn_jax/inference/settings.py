"""The way from an image to its class map: scales, flips, windows, a CRF, and what they mean."""

import dataclasses
import math
from typing import Any

import numpy as np

from gcn_jax.errors import UserError
from gcn_jax.inference.crf import CRFParameters
from gcn_jax.inference.resizing import sizes_by_side
from gcn_jax.models.preprocessing import BUCKET_MULTIPLE, bucket, smallest_in_bucket

Shape = tuple[int, int]

#: Scales, sides of a window in pixels and overlaps beyond these were not meant.
SMALLEST_SCALE, LARGEST_SCALE = 0.05, 16.0
LONGEST_WINDOW, LARGEST_OVERLAP = 8_192, 0.95
#: Pixels of an enlarged image, padding included, above which it is refused: 5,792 x 5,792.
MOST_PIXELS = 2**25


@dataclasses.dataclass(frozen=True)
class Inference:
    """The way from an image to its class map; by default one run of the network.

    Probabilities are averaged: over the windows of a scale at that scale, over the scales and
    flips at the size of the image. A dense CRF refines the average.

    Attributes:
        scales: Factors of the image's size (bilinear, no antialiasing), such as (0.5, 1.0, 1.5).
        flip: Whether the mirrored image is predicted too, at each scale.
        window: (height, width) in pixels, or one number for both, of windows that slide over the
            image at each scale; most often the crop size of the training. The network then sees
            nothing but windows: smaller images are padded to one with the mean colour. None: it
            sees whole images.
        overlap: The least share of a window that its neighbour covers too, in [0, 1). The windows
            are spread evenly, so it may be more. Window 1024 and overlap 0.66 make four windows of
            a 2048 x 1024 image, the number in the paper.
        crf: Parameters of the dense CRF; None: without one.
        stride: (height, width) in pixels, or one number for both, between windows, instead of
            `overlap`; the last ends at the border. It is PSPNet's way in all: a smaller image lies
            in the middle of its window, padded with the mean itself, and the windows are mirrored,
            not the image.
        longer_side: Pixels of the longer side of every image at scale 1, the other rounded. None:
            as it is.
        shorter_side: Pixels of the shorter side of every image at scale 1, the other rounded down.
            With both sides the smaller size is taken, rounded.
        side_multiple: What divides both sides then, each rounded up by itself.
        pad_to: (height, width) in pixels, or one number for both, to which smaller images are
            padded below and to the right with the mean itself. The network then sees them at that
            size, larger images and, with 1, all images at exactly their own, and is compiled for
            each. None: it sees them padded to one of a few sizes.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: Shape | int | None = None
    overlap: float = 1 / 3
    crf: CRFParameters | None = None
    stride: Shape | int | None = None
    longer_side: int | None = None
    shorter_side: int | None = None
    side_multiple: int = 1
    pad_to: Shape | int | None = None

    def __post_init__(self) -> None:
        for name in ("window", "stride", "pad_to"):
            pair = _pair(getattr(self, name))
            object.__setattr__(self, name, pair)
            if pair is not None and (len(pair) != 2 or min(pair) < 1):
                raise UserError(f"{name} is {pair}; it is (height, width) in pixels")
        window = self.window_size
        object.__setattr__(self, "scales", tuple(self.scales))
        if not self.scales or not all(0 < scale < math.inf for scale in self.scales):
            raise UserError(f"scales are {self.scales}; give one or more, above 0")
        if not all(SMALLEST_SCALE <= scale <= LARGEST_SCALE for scale in self.scales):
            raise UserError(
                f"scales are {self.scales}; each lies from {SMALLEST_SCALE} to {LARGEST_SCALE}"
            )
        if window is not None and max(window) > LONGEST_WINDOW:
            raise UserError(
                f"window is {window}; images are padded to it, so that {LONGEST_WINDOW} "
                "pixels are the most; without a window the network sees whole images"
            )
        self._check_sizes()
        if not 0 <= self.overlap < 1:
            raise UserError(f"overlap is {self.overlap}; it is a share of a window in [0, 1)")
        if self.overlap > LARGEST_OVERLAP:
            raise UserError(
                f"overlap is {self.overlap}; above {LARGEST_OVERLAP} there are too many windows"
            )

    def _check_sizes(self) -> None:
        """Raise `UserError` where a stride, sides or `pad_to` make no sense together."""
        window, stride, pad_to = _pair(self.window), _pair(self.stride), _pair(self.pad_to)
        pairs = zip(stride or (), window or (0, 0), strict=False)
        if not all((1 - LARGEST_OVERLAP) * size <= step <= size for step, size in pairs):
            raise UserError(
                f"stride is {stride}; it is for a window, no longer than it and no shorter than "
                f"{1 - LARGEST_OVERLAP:.2g} of it"
            )
        sides = [side for side in (self.longer_side, self.shorter_side) if side is not None]
        if not all(1 <= side <= LONGEST_WINDOW for side in sides):
            raise UserError(
                f"longer_side is {self.longer_side}, shorter_side {self.shorter_side}; "
                f"each has 1 to {LONGEST_WINDOW} pixels"
            )
        if self.side_multiple != 1 and not (sides and 1 <= self.side_multiple <= LONGEST_WINDOW):
            raise UserError(
                f"side_multiple is {self.side_multiple}; it is for a longer_side or a "
                f"shorter_side, 1 to {LONGEST_WINDOW} pixels"
            )
        if pad_to is None:
            return
        if window is not None or self.scales != (1.0,) or (sides and pad_to != (1, 1)):
            raise UserError(
                f"pad_to is {pad_to}; it is for whole images at scale 1, with a side only if 1"
            )
        if max(pad_to) > LONGEST_WINDOW:
            raise UserError(f"pad_to is {pad_to}; {LONGEST_WINDOW} pixels are the most")

    @property
    def window_size(self) -> Shape | None:
        """The (height, width) of `window`, whichever way that was given."""
        return _pair(self.window)

    @property
    def stride_size(self) -> Shape | None:
        """The (height, width) of `stride`, whichever way that was given."""
        return _pair(self.stride)

    @property
    def is_plain(self) -> bool:
        """Whether one run of the network is all."""
        more = (self.flip, self.window, self.crf, self.longer_side, self.shorter_side)
        as_in_batch = self.pad_to is None or _pair(self.pad_to) == (1, 1)
        return self.scales == (1.0,) and as_in_batch and not any(more)

    @property
    def pads_with_mean(self) -> bool:
        """Whether images are padded with the mean itself, not with the colour nearest to it."""
        return self.stride is not None or self.pad_to is not None

    def to_json(self) -> dict[str, Any]:
        """Return the settings for a file, without those of protocols that are not used."""
        rare = {
            name: getattr(ONE_RUN, name)
            for name in ("stride", "longer_side", "shorter_side", "side_multiple", "pad_to")
        }
        settings = dataclasses.asdict(self)
        return {name: v for name, v in settings.items() if name not in rare or v != rare[name]}

    def batch_shape(self, size: Shape) -> Shape:
        """Return the (height, width) of the arrays in which an image shares a batch with others.

        Args:
            size: The (height, width) of the image.
        """
        least = _pair(self.pad_to)
        if least is None:
            return bucket(size[0]), bucket(size[1])
        return max(size[0], least[0]), max(size[1], least[1])

    def sides(self, scale: float) -> tuple[int | None, int | None, int]:
        """Return the pixels of the longer and of the shorter side at a scale, and their multiple.

        Args:
            scale: The factor.
        """
        longer, shorter = (
            None if side is None else max(1, round(side * scale))
            for side in (self.longer_side, self.shorter_side)
        )
        return longer, shorter, self.side_multiple

    def canvas(self, shape: Shape, scale: float) -> Shape:
        """Return the (height, width) that the images of a bucket are padded to at a scale.

        Args:
            shape: The (height, width) of the bucket, in pixels.
            scale: The factor of the images' size.

        Raises:
            UserError: An enlarged image would have more than `MOST_PIXELS`.
        """
        least = self.window_size or (1, 1)
        sides = self.sides(scale)
        has_side = any(sides[:2])
        scaled = self._by_side(shape, *sides) if has_side else _largest(shape, scale)
        multiple = BUCKET_MULTIPLE if self.pad_to is None else 1
        height, width = (-(-length // multiple) * multiple for length in scaled)
        if (scale > 1 or has_side) and height * width > MOST_PIXELS:
            raise UserError(
                f"scale {scale:g} makes {height} x {width} pixels of an image of {shape[0]} x "
                f"{shape[1]}, and {MOST_PIXELS} pixels are the most; name smaller scales"
            )
        return max(height, least[0]), max(width, least[1])

    def _by_side(
        self, shape: Shape, longer: int | None, shorter: int | None, multiple: int
    ) -> Shape:
        """Return the most that images of a bucket have once a side has its pixels."""
        if self.pad_to is not None:  # there is one size in it
            found = sizes_by_side(np.array([shape]), longer, shorter, multiple)
            height, width = found[0].tolist()
            return height, width
        ratios = shape[0] / smallest_in_bucket(shape[1]), shape[1] / smallest_in_bucket(shape[0])
        bounds = []
        for ratio in ratios:
            by_longer = math.inf if longer is None else min(longer, math.ceil(longer * ratio))
            by_shorter = math.inf if shorter is None else max(shorter, math.ceil(shorter * ratio))
            bounds.append(-(-int(min(by_longer, by_shorter)) // multiple) * multiple)
        return bounds[0], bounds[1]

    def input_shapes(self, shape: Shape) -> set[Shape]:
        """Return the (height, width) of all that the network sees of the images of a bucket."""
        if self.window_size is not None:
            return {self.window_size}
        return {self.canvas(shape, scale) for scale in self.scales}


def _pair(value: Shape | int | None) -> Shape | None:
    """Return a (height, width), given so or as one number."""
    if value is None or isinstance(value, tuple):
        return value
    return (value, value) if isinstance(value, int) else tuple(value)  # lists have no hash


def _largest(shape: Shape, scale: float) -> Shape:
    """Return a scaled shape, rounded up; to thousandths of a pixel, so that 320 * 0.7 is 224."""
    height, width = (math.ceil(round(length * scale, 3)) for length in shape)
    return height, width


#: The default: one run on the image as it is.
ONE_RUN = Inference()
