"""DeepLab-LargeFOV against numpy, and where its logits lie."""

import jax
import numpy as np

from gcn_jax.models import DeepLabLargeFOV
from tests.helpers import reference
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {
    "deeplab_largefov": (20_505_429, 20_483_904),
}


def features(params, images):
    """Compute fc7."""
    x = images.astype(np.float64)
    for number, strides in ((1, 2), (2, 2), (3, 2), (4, 1), (5, 1)):
        dilation = 2 if number == 5 else 1
        x = reference.conv_stack(
            x, params[f"stage{number}"], paddings=3 * [dilation], dilation=dilation
        )
        x = reference.max_pool(x, 3, strides, 1, ceil_mode=False)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = x.shape[1:3]
    x = sum(padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)) / 9
    x = np.maximum(reference.convolve(x, params["fc6"], padding=12, dilation=12), 0)
    return np.maximum(reference.convolve(x, params["fc7"]), 0)


def interpolate(values, size):
    """Return what lies at each pixel, if values are of every eighth; the last one repeats."""
    return np.interp(np.arange(size), 8 * np.arange(len(values)), values)


def test_logits_are_those_of_every_eighth_pixel_and_between_them_interpolated():
    model = DeepLabLargeFOV(num_classes=3, width=1 / 16)
    variables, images = random_variables(model), normal(1, 44, 65, 3)
    coarse = reference.convolve(
        features(variables["params"]["backbone"], images), variables["params"]["fc8"]
    )
    assert coarse.shape == (1, 6, 9, 3)
    expected = coarse[0]
    for axis, size in ((0, 44), (1, 65)):
        expected = np.apply_along_axis(interpolate, axis, expected, size)
    logits = jax.jit(model.apply)(variables, images)
    np.testing.assert_allclose(logits[0], expected, atol=1e-4 * np.abs(expected).max())
