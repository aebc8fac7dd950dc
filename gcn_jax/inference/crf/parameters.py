"""Parameters of the dense CRF: widths and weights of its two kernels, and published settings."""

import dataclasses
import math
from typing import Any

from gcn_jax.errors import UserError, check_choice

#: Mean-field iterations, and standard deviations (pixels, grey levels), that no image needs.
MOST_ITERATIONS, LARGEST = 1_000, 10_000


@dataclasses.dataclass(frozen=True)
class CRFParameters:
    """Kernels of a dense CRF with Potts compatibility.

    Two pixels at distance `|p|`, with colours that differ by `|I|`, attract each other's labels
    with ::

        bilateral_weight * exp(-|p|^2 / (2 bilateral_sxy^2) - |I|^2 / (2 bilateral_srgb^2))
        + gaussian_weight * exp(-|p|^2 / (2 gaussian_sxy^2)),

    each kernel normalised (see `mean_field`).

    Attributes:
        gaussian_sxy: Standard deviation of the Gaussian (smoothness) kernel, in pixels.
        gaussian_weight: Its weight.
        bilateral_sxy: Standard deviation of the bilateral (appearance) kernel, in pixels.
        bilateral_srgb: The same in colour, in levels of 0..255.
        bilateral_weight: Its weight.
        iterations: Mean-field iterations.

    Raises:
        UserError: A standard deviation is not positive or above `LARGEST`, a weight negative or
            infinite, or the iterations are no whole number from 0 to `MOST_ITERATIONS`.
    """

    gaussian_sxy: float
    gaussian_weight: float
    bilateral_sxy: float
    bilateral_srgb: float
    bilateral_weight: float
    iterations: int = 10

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith(("sxy", "srgb")) and not value > 0:
                raise UserError(f"CRF parameter {field.name} is {value}; it must be positive")
            if field.name.endswith(("sxy", "srgb")) and value > LARGEST:
                raise UserError(f"CRF parameter {field.name} is {value}; it is {LARGEST} at most")
            if field.name.endswith("weight") and not 0 <= value < math.inf:
                raise UserError(f"CRF parameter {field.name} is {value}; it must be 0 or more")
        if not (self.iterations >= 0 and float(self.iterations).is_integer()):
            raise UserError(
                f"CRF parameter iterations is {self.iterations}; it must be a whole number from 0"
            )
        if self.iterations > MOST_ITERATIONS:
            raise UserError(
                f"CRF parameter iterations is {self.iterations}; {MOST_ITERATIONS} are the most, "
                "and 10 are enough for an image"
            )
        object.__setattr__(self, "iterations", int(self.iterations))


#: Published settings: DeepLab v1 (Chen et al., ICLR 2015) and v2 (TPAMI 2018), as the authors'
#: code has them (v1: the table in the comments of matlab/my_script/SetupEnv.m of deeplab-public;
#: v2: the released ResNet-101 and VGG-16 models), found by grid search on 100 images of PASCAL
#: VOC's validation set. `pydensecrf` is the example in that package's README. DeepLab's C++ divides
#: by each pixel's norm after filtering, where this library, like pydensecrf, takes the square root
#: on both sides: the same parameters do not give the same marginals.
PRESETS: dict[str, CRFParameters] = {
    "deeplab_v1": CRFParameters(3, 3, 50, 10, 5),
    "deeplab_v1_msc": CRFParameters(3, 3, 95, 3, 3),
    "deeplab_v1_coco": CRFParameters(3, 3, 67, 3, 5),
    "deeplab_v2_vgg16": CRFParameters(2, 2, 65, 3, 4),
    "deeplab_v2_resnet101": CRFParameters(1, 3, 67, 3, 4),
    "pydensecrf": CRFParameters(3, 3, 80, 13, 10, iterations=5),
}


def crf_parameters(text: str) -> CRFParameters:
    """Return published parameters by name, or those that are given as numbers.

    Args:
        text: A key of `PRESETS`, or the fields of `CRFParameters` in their order with commas
            between, such as `"3,3,50,10,5"`; the iterations may be left out.

    Raises:
        UserError: There are none of that name, or the numbers make no sense.
    """
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        check_choice("CRF", text, PRESETS)
        return PRESETS[text]
    names = [field.name for field in dataclasses.fields(CRFParameters)]
    if len(numbers) not in (len(names) - 1, len(names)):
        raise UserError(f"CRF {text!r} has {len(numbers)} numbers; give {', '.join(names)}")
    values: dict[str, Any] = dict(zip(names, numbers, strict=False))
    return CRFParameters(**values)
