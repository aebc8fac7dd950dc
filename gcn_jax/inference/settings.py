"""The way from an image to its class map: scales, flips, windows, a CRF, and what they mean."""

import dataclasses
import math

from gcn_jax.errors import UserError
from gcn_jax.inference.crf import CRFParameters
from gcn_jax.models.preprocessing import BUCKET_MULTIPLE

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
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: Shape | int | None = None
    overlap: float = 1 / 3
    crf: CRFParameters | None = None

    def __post_init__(self) -> None:
        window = (self.window,) * 2 if isinstance(self.window, int) else self.window
        if window is not None:
            object.__setattr__(self, "window", tuple(window))  # lists have no hash
        object.__setattr__(self, "scales", tuple(self.scales))
        if not self.scales or not all(0 < scale < math.inf for scale in self.scales):
            raise UserError(f"scales are {self.scales}; give one or more, above 0")
        if not all(SMALLEST_SCALE <= scale <= LARGEST_SCALE for scale in self.scales):
            raise UserError(
                f"scales are {self.scales}; each lies from {SMALLEST_SCALE} to {LARGEST_SCALE}"
            )
        if window is not None and (len(window) != 2 or min(window) < 1):
            raise UserError(f"window is {window}; it is (height, width) in pixels")
        if window is not None and max(window) > LONGEST_WINDOW:
            raise UserError(
                f"window is {window}; images are padded to it, so that {LONGEST_WINDOW} "
                "pixels are the most; without a window the network sees whole images"
            )
        if not 0 <= self.overlap < 1:
            raise UserError(f"overlap is {self.overlap}; it is a share of a window in [0, 1)")
        if self.overlap > LARGEST_OVERLAP:
            raise UserError(
                f"overlap is {self.overlap}; above {LARGEST_OVERLAP} there are too many windows"
            )

    @property
    def window_size(self) -> Shape | None:
        """The (height, width) of `window`, whichever way that was given."""
        return (self.window, self.window) if isinstance(self.window, int) else self.window

    @property
    def is_plain(self) -> bool:
        """Whether one run of the network is all."""
        return self.scales == (1.0,) and not (self.flip or self.window or self.crf)

    def canvas(self, shape: Shape, scale: float) -> Shape:
        """Return the (height, width) that the images of a bucket are padded to at a scale.

        Args:
            shape: The (height, width) of the bucket, in pixels.
            scale: The factor of the images' size.

        Raises:
            UserError: An enlarged image would have more than `MOST_PIXELS`.
        """
        least = self.window_size or (1, 1)
        # To thousandths of a pixel, so that 320 * 0.7 is 224.
        scaled = (math.ceil(round(length * scale, 3)) for length in shape)
        height, width = (-(-length // BUCKET_MULTIPLE) * BUCKET_MULTIPLE for length in scaled)
        if scale > 1 and height * width > MOST_PIXELS:
            raise UserError(
                f"scale {scale:g} makes {height} x {width} pixels of an image of {shape[0]} x "
                f"{shape[1]}, and {MOST_PIXELS} pixels are the most; name smaller scales"
            )
        return max(height, least[0]), max(width, least[1])

    def input_shapes(self, shape: Shape) -> set[Shape]:
        """Return the (height, width) of all that the network sees of the images of a bucket."""
        if self.window_size is not None:
            return {self.window_size}
        return {self.canvas(shape, scale) for scale in self.scales}


#: The default: one run on the image as it is.
ONE_RUN = Inference()
