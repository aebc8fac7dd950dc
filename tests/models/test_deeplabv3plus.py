"""DeepLabV3+: its separable convolutions and its pyramid against numpy."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from gcn_jax.errors import UserError
from gcn_jax.models import DeepLabV3Plus
from gcn_jax.models.deeplabv3plus import RATES, SeparableConv, SeparablePyramidPooling
from tests.helpers import reference
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {
    "deeplabv3plus_resnet18": (12_334_437, 11_176_512),
    "deeplabv3plus_resnet34": (22_442_597, 21_284_672),
    "deeplabv3plus_resnet50": (26_682_725, 23_508_032),
    "deeplabv3plus_resnet101": (45_674_853, 42_500_160),
    "deeplabv3plus_plain4": (748_253, 135_960),
}


def separable(x, params, statistics, dilation=1):
    """Apply a `SeparableConv`: each channel by itself, then all of them at each pixel."""
    kernel = params["depthwise"]["kernel"]
    channels = [
        reference.convolve(
            x[..., i : i + 1], {"kernel": kernel[..., i : i + 1], "bias": 0.0}, dilation, dilation
        )
        for i in range(x.shape[-1])
    ]
    return reference.conv_norm_relu(np.concatenate(channels, axis=-1), params, statistics)


def values(module, x):
    """Return seeded variables that most ReLUs let through."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    leaves = traverse_util.flatten_dict(shapes)
    return traverse_util.unflatten_dict(
        {
            path: np.abs(normal(*leaf.shape, seed=seed)) - 0.2 * (path[-1] in ("kernel", "mean"))
            for seed, (path, leaf) in enumerate(leaves.items())
        }
    )


def test_a_separable_convolution_has_no_norm_between_its_two():
    x, module = normal(1, 9, 8, 3), SeparableConv(5, dilation=2)
    variables = values(module, x)
    expected = separable(x.astype(np.float64), *variables_of(variables), dilation=2)
    np.testing.assert_allclose(module.apply(variables, x), expected, rtol=1e-4, atol=1e-4)


def variables_of(variables):
    return variables["params"], variables["batch_stats"]


def test_the_pyramid_joins_separable_dilated_convolutions_and_the_mean_of_the_image():
    """The map is larger than twice the largest rate: every tap of every branch counts."""
    x, module = normal(1, 75, 79, 3), SeparablePyramidPooling(2)
    variables = values(module, x)
    params, statistics = variables_of(variables)

    def layer(x, name):
        return reference.conv_norm_relu(x, params[name], statistics[name])

    x64 = x.astype(np.float64)
    branches = [layer(x64, "point")]
    branches += [
        separable(x64, params[f"rate{rate}"], statistics[f"rate{rate}"], rate) for rate in RATES
    ]
    branches.append(layer(x64.mean((1, 2), keepdims=True), "image") + np.zeros((1, 75, 79, 2)))
    y = layer(np.concatenate(branches, axis=-1), "project")
    expected = separable(y, params["smooth"], statistics["smooth"])
    found = jax.jit(module.apply)(variables, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * expected.max())


def test_the_pyramid_is_scored_beside_finer_features():
    model = DeepLabV3Plus(num_classes=3, backbone="_tiny", features=4)
    variables, images = random_variables(model), normal(2, 33, 47, 3)
    parts = {
        name: {collection: trees.get(name, {}) for collection, trees in variables.items()}
        for name in variables["params"]
    }
    features = model.make_backbone().apply(parts["backbone"], images)
    coarse = SeparablePyramidPooling(4).apply(parts["aspp"], features["res5"])
    fine = reference.conv_norm_relu(
        np.asarray(features["res2"], np.float64), *variables_of(parts["fine"])
    )
    joined = np.concatenate([corners_kept(coarse, fine.shape[1:3]), fine], axis=-1)
    y = separable(joined, *variables_of(parts["join"]))
    expected = corners_kept(reference.convolve(y, parts["score"]["params"]), (33, 47))
    np.testing.assert_allclose(jax.jit(model.apply)(variables, images), expected, atol=1e-5)


def corners_kept(x, size):
    """Interpolate so that the centres of the corner pixels stay."""
    x = np.asarray(x, np.float64)
    for axis, length in zip((1, 2), size, strict=True):
        old = x.shape[axis]
        places = np.linspace(0, old - 1, length)
        x = np.apply_along_axis(
            lambda line, at=places: np.interp(at, np.arange(len(line)), line), axis, x
        )
    return x


def test_it_stands_on_backbones_that_can_be_dilated():
    assert DeepLabV3Plus(num_classes=3, backbone="resnet50").make_backbone().strides[-1] == 16
    with pytest.raises(UserError, match="unknown backbone 'resnet50_gcn'"):
        DeepLabV3Plus(num_classes=3, backbone="resnet50_gcn")
