"""PSPNet: its pyramid against numpy, its auxiliary classifier, its dropout."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from gcn_jax.models import PSPNet, create_model
from gcn_jax.models.network import AUXILIARY, variable_shapes
from gcn_jax.models.pspnet import PyramidPooling
from tests.helpers import reference
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
# With the auxiliary classifier, of 2,365,205 on ResNet-50 and -101 (without: below).
PARAMETERS = {
    "pspnet_resnet18": (12_771_242, 11_176_512),
    "pspnet_resnet50": (49_081_578, 23_631_808),
    "pspnet_resnet101": (68_073_706, 42_623_936),
    "pspnet_plain4": (208_722, 135_960),
}


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    [("resnet101s", 65_708_501), ("resnet101", 65_584_725), ("resnet50", 46_592_597)],
)
def test_parameters_are_those_of_the_original(backbone, parameters):
    shapes = variable_shapes(PSPNet(21, backbone, auxiliary=False))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == parameters


def test_the_names_stand_for_the_stem_of_three_convolutions():
    assert create_model("pspnet_resnet101", num_classes=21) == PSPNet(21, "resnet101s")
    assert create_model("pspnet_resnet50", num_classes=21) == PSPNet(21, "resnet50s")


def pool_over_bins(x, bins):
    """Average over bins from floor(i * n / b) to ceil((i + 1) * n / b)."""
    n, height, width, c = x.shape
    y = np.empty((n, bins, bins, c))
    for i, j in np.ndindex(bins, bins):
        top, left = i * height // bins, j * width // bins
        bottom, right = -(-(i + 1) * height // bins), -(-(j + 1) * width // bins)
        y[:, i, j] = x[:, top:bottom, left:right].mean(axis=(1, 2))
    return y


def stretch(x, size):
    """Interpolate so that the corners stay."""
    for axis, new in ((1, size[0]), (2, size[1])):
        old = x.shape[axis]
        positions = np.linspace(0, old - 1, new)
        x = np.apply_along_axis(
            lambda line, at: np.interp(at, np.arange(len(line)), line), axis, x, positions
        )
    return x


def test_the_pyramid_adds_means_over_coarse_grids_to_the_features():
    x = normal(2, 9, 7, 8)
    module = PyramidPooling()
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    flat = traverse_util.flatten_dict(shapes)
    variables = traverse_util.unflatten_dict(
        {
            path: np.abs(normal(*leaf.shape, seed=i))
            - 0.2 * (path[-1] in ("kernel", "bias", "mean"))
            for i, (path, leaf) in enumerate(flat.items())
        }
    )
    levels = [x]
    for bins in (1, 2, 3, 6):
        params = variables["params"][f"bins{bins}"]
        y = pool_over_bins(x.astype(np.float64), bins) @ params["conv"]["kernel"][0, 0]
        y = reference.normalize(y, params["bn"], variables["batch_stats"][f"bins{bins}"]["bn"])
        levels.append(stretch(np.maximum(y, 0), (9, 7)))
    expected = np.concatenate(levels, axis=-1)
    assert expected.shape == (2, 9, 7, 16)
    np.testing.assert_allclose(jax.jit(module.apply)(variables, x), expected, rtol=1e-4, atol=1e-4)


def test_the_auxiliary_classifier_is_for_training_only():
    model = PSPNet(num_classes=3, backbone="_tiny")
    variables, images = random_variables(model), normal(2, 33, 47, 3)
    without = {
        collection: {name: tree for name, tree in trees.items() if name != "auxiliary_head"}
        for collection, trees in variables.items()
    }
    assert without != variables
    assert jax.eval_shape(model.apply, without, images).shape == (2, 33, 47, 3)

    @jax.jit
    def train(variables, key):
        return model.apply(
            variables, images, train=True, rngs={"dropout": key}, mutable=["batch_stats", AUXILIARY]
        )

    scores, updates = train(variables, jax.random.key(0))
    weight, auxiliary = updates[AUXILIARY]["res4"]
    assert weight == np.float32(0.4)
    assert auxiliary.shape == scores.shape == (2, 33, 47, 3)
    others, other_updates = train(variables, jax.random.key(1))
    assert np.abs(others - scores).max() > 1e-3  # dropout, in both classifiers
    assert np.abs(other_updates[AUXILIARY]["res4"][1] - auxiliary).max() > 1e-3
