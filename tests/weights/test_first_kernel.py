"""The first kernel for other than three channels, by hand, and in every backbone with weights."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from gcn_jax import models
from gcn_jax.errors import UserError
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights import list_sources
from gcn_jax.weights.first_kernel import adapt, told, with_channels
from tests.helpers.random_values import random_variables

#: [1, 1, 3, 2]: two outputs of red, green, blue.
RGB = jnp.array([[[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]]])


@pytest.mark.parametrize(
    ("channels", "first"),
    [
        (1, [7]),
        (2, [1.5, 3]),
        (4, [0.75, 1.5, 3, 0.75]),
        (5, [0.6, 1.2, 2.4, 0.6, 1.2]),
        (6, [0.5, 1, 2, 0.5, 1, 2]),
    ],
)
def test_kernel_by_hand(channels, first):
    kernel = np.asarray(adapt(RGB, channels))
    assert kernel.shape == (1, 1, channels, 2)
    np.testing.assert_allclose(kernel[0, 0, :, 0], first, rtol=1e-6)
    np.testing.assert_allclose(kernel[0, 0, :, 1], 10 * np.array(first), rtol=1e-6)


def test_three_channels_are_left_alone():
    variables = {"params": {"conv1": {"kernel": RGB}}}
    assert with_channels(variables, 3) is variables
    assert told(3) == ""
    assert told(1) == ", its first kernel summed over RGB for 1 channel"
    assert told(4) == ", its first kernel repeated from RGB's for 4 channels, times 3/4"


def test_two_kernels_that_could_be_the_first_are_refused():
    variables = {"params": {"a": {"kernel": RGB}, "b": {"kernel": RGB}}}
    with pytest.raises(UserError, match="2 kernels have three inputs"):
        with_channels(variables, 4)


def networks():
    """One network for each architecture of a backbone that has weights; large ones are slow."""
    found = {}
    for name in models.list_models():
        model = models.create_model(name, num_classes=2)
        found.setdefault(model.backbone_weights, name)
    names = sorted(found[name] for name in found.keys() & set(list_sources()))
    large = re.compile("b[1-5]$|101|152|large|base|convnext_small")
    return [
        pytest.param(name, marks=[pytest.mark.slow] if large.search(name) else []) for name in names
    ]


@pytest.mark.parametrize("name", networks())
def test_backbone_for_rgb_becomes_that_of_the_network(name):
    """The kernel that is found is the one whose shape the network has with other channels."""
    rgb = variable_shapes(models.create_model(name, num_classes=2).make_backbone())
    wanted = variable_shapes(models.create_model(name, num_classes=2, in_channels=4))
    found = jax.eval_shape(lambda tree: with_channels(tree, 4), rgb)
    for kind, tree in found.items():
        ours, theirs = (
            {path: leaf.shape for path, leaf in traverse_util.flatten_dict(one).items()}
            for one in (tree, wanted[kind]["backbone"])
        )
        assert ours == theirs


def test_grey_through_the_summed_kernel_is_grey_through_rgb():
    """With equal mean and deviation of the three; equal channels, a multiple of three, likewise."""
    grey = np.random.default_rng(0).integers(0, 256, (1, 37, 45, 1), dtype=np.uint8)
    variables = random_variables(models.create_model("_tiny", num_classes=3))

    def logits(channels):
        network = models.create_model("_tiny", num_classes=3, in_channels=channels)
        backbone = with_channels({"params": variables["params"]["backbone"]}, channels)
        params = {**variables["params"], "backbone": backbone["params"]}
        images = jnp.asarray((grey.repeat(channels, axis=3) - 114.0) / 57.0, jnp.float32)
        return network.apply({**variables, "params": params}, images)

    expected = np.asarray(logits(3))
    assert expected.std() > 0.1
    for channels in (1, 6):
        np.testing.assert_allclose(logits(channels), expected, atol=1e-5 * abs(expected).max())
