"""SegNet against numpy, with indices as flat positions, as its authors store them."""

import jax
import numpy as np

from gcn_jax.models import SegNet
from gcn_jax.models.network import variable_shapes
from tests.helpers import reference
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {
    "segnet": (29_455_125, 14_723_136),
}


def pool_with_positions(x):
    """Return maxima of 2 x 2 windows, and for each its (row, column) in the image."""
    _, height, width, c = x.shape
    maxima = np.empty((1, -(-height // 2), -(-width // 2), c))
    positions = {}
    for i, j, k in np.ndindex(maxima.shape[1:]):
        window = [(r, s) for r in (2 * i, 2 * i + 1) for s in (2 * j, 2 * j + 1)]
        inside = [(r, s) for r, s in window if r < height and s < width]
        positions[i, j, k] = max(inside, key=lambda position: x[0, *position, k])
        maxima[0, i, j, k] = x[0, *positions[i, j, k], k]
    return maxima, positions


def segnet(variables, images):
    params, stats = variables["params"], variables["batch_stats"]
    x, poolings = images.astype(np.float64), []
    for number in (1, 2, 3, 4, 5):
        stage = f"stage{number}"
        x = reference.conv_stack(x, params["backbone"][stage], stats["backbone"][stage])
        size = x.shape
        x, positions = pool_with_positions(x)
        poolings.append((size, positions))
    for number in (5, 4, 3, 2, 1):
        size, positions = poolings[number - 1]
        unpooled = np.zeros((*size[:3], x.shape[3]))
        for (i, j, k), (row, column) in positions.items():
            unpooled[0, row, column, k] = x[0, i, j, k]
        decoder = f"decoder{number}"
        x = reference.conv_stack(unpooled, params[decoder], stats[decoder])
    return reference.convolve(x, params["score"], padding=1)


def test_logits_are_those_of_the_definition():
    model = SegNet(num_classes=3, width=1 / 16)
    variables, images = random_variables(model), normal(1, 37, 50, 3)
    expected = segnet(variables, images)
    logits = jax.jit(model.apply)(variables, images)
    assert logits.shape == (1, 37, 50, 3)
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


def test_parameters_for_the_classes_of_camvid():
    params = variable_shapes(SegNet(num_classes=11))["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 29_449_355
