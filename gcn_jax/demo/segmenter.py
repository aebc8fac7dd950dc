"""Questions of the demo's page to a model: class maps, masks, and valid receptive fields."""

import contextlib
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.analysis.receptive_field.units import Unit, check_unit
from gcn_jax.analysis.receptive_field.valid import valid_field
from gcn_jax.data.files import read_mask
from gcn_jax.data.image_files import image_size
from gcn_jax.data.images import grey_of, read_image
from gcn_jax.errors import UserError
from gcn_jax.inference import Predictor
from gcn_jax.models import Pretrained

#: A picture may have so many pixels.
MOST_PIXELS = 2**25
#: The longest side, in pixels, of the part around a pixel in which its field is looked for.
WINDOW = 512


class Field(NamedTuple):
    """A valid receptive field in a picture.

    Attributes:
        discrepancy: float32 `[H, W]`, the mean |change of the score| over the patches that cover a
            pixel; 0 where the picture was not covered.
        score: The logit of the class at the pixel, with nothing covered.
    """

    discrepancy: np.ndarray
    score: float


class Segmenter:
    """A model that is asked about pictures, which come as the bytes of their files."""

    def __init__(self, pretrained: Pretrained, places: int):
        """Put the model on its device.

        Args:
            pretrained: The model.
            places: At how many places, about, a picture is covered for a field.

        Raises:
            UserError: The model takes images that are neither RGB nor grey.
        """
        self.info = pretrained.info
        if self.info.channels not in (1, 3):
            raise UserError(
                f"the network takes images of {self.info.channels} channels, and a browser shows "
                "RGB or grey; `gcn-jax predict` takes its images"
            )
        self._pretrained, self._places = pretrained, places
        self._predictor = Predictor(pretrained)

    def labels(self, picture: bytes) -> np.ndarray:
        """Segment a picture.

        Args:
            picture: An image file of any kind that `gcn-jax predict` takes.

        Returns:
            uint8 `[H, W]`, the class of each pixel.

        Raises:
            UserError: It is no such file, or has more than `MOST_PIXELS`.
        """
        ((_, _, labels),) = self._predictor.predict([{"image": self._image(picture)}])
        return labels.astype(np.uint8)

    def truth(self, mask: bytes) -> np.ndarray:
        """Read a mask.

        Args:
            mask: An image file of class numbers, as masks of data sets are.

        Returns:
            uint8 `[H, W]`; `IGNORE_LABEL` is void.

        Raises:
            UserError: It is no such file, has more than `MOST_PIXELS`, or a value is no class.
        """
        with _file(mask, "the mask") as path:
            labels = read_mask(path)
        count = len(self.info.class_names)
        if (wrong := labels[(labels >= count) & (labels != IGNORE_LABEL)]).size:
            raise UserError(
                f"the mask holds {wrong.max()}; the model has classes 0 to {count - 1}, and "
                f"{IGNORE_LABEL} is void"
            )
        return labels

    def field(self, picture: bytes, unit: Unit) -> Field:
        """Compute the valid receptive field of a score, in the `WINDOW` around its pixel.

        Args:
            picture: As `labels` takes it.
            unit: The score.

        Raises:
            UserError: What `labels` raises; or the picture or the model has no such unit.
        """
        image = self._image(picture)
        model, variables, info, _ = self._pretrained
        check_unit(unit, image.shape[:2], len(info.class_names))
        top, left = (
            min(max(0, at - WINDOW // 2), max(0, side - WINDOW))
            for at, side in zip(unit[:2], image.shape[:2], strict=True)
        )
        seen = image[top : top + WINDOW, left : left + WINDOW]
        patch, stride = _grid(seen.shape[:2], self._places)
        inside = Unit(unit.row - top, unit.column - left, unit.class_number)
        found, stimulus = valid_field(
            model, variables, seen, inside, patch=patch, stride=stride, batch_size=8
        )
        whole = np.zeros(image.shape[:2], np.float32)
        whole[top : top + WINDOW, left : left + WINDOW] = found
        return Field(whole, stimulus.plain)

    def _image(self, picture: bytes) -> np.ndarray:
        with _file(picture, "the picture") as path:
            image = read_image(path, bit_depth=self.info.bit_depth)
        return grey_of(image) if self.info.channels == 1 else image


def _grid(size: tuple[int, ...], places: int) -> tuple[int, int]:
    """Return side and step of patches that overlap by half, and stand at about so many places."""
    stride = max(1, math.ceil(math.sqrt(math.prod(size) / places)))
    return min(2 * stride, *size), min(stride, *size)


@contextlib.contextmanager
def _file(content: bytes, name: str) -> Iterator[Path]:
    """Put an upload where the readers of files can check it; in their errors it has its name."""
    with tempfile.TemporaryDirectory(prefix="gcn_jax_demo_") as folder:
        path = Path(folder, "upload.png")  # readers look at the content
        path.write_bytes(content)
        height, width = image_size(path) or (0, 0)
        if height * width > MOST_PIXELS:
            raise UserError(
                f"{name} has {width} x {height} pixels; here it may have {MOST_PIXELS / 2**20:.0f} "
                "million: `gcn-jax predict` takes any number"
            )
        try:
            yield path
        except UserError as error:
            raise UserError(str(error).replace(str(path), name)) from None
