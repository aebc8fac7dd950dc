"""Linear: the scores of a backbone's features, and a backbone that stays as it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.models import GCN, Linear
from gcn_jax.models.backbones.registry import FEATURES
from tests.helpers import reference
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {
    "linear_dinov2_small": (22_065_045, 22_056_192),
    "linear_dinov2_small_reg": (22_066_581, 22_057_728),
    "linear_dinov2_base": (86_597_397, 86_579_712),
    "linear_dinov2_base_reg": (86_600_469, 86_582_784),
    "linear_dinov2_large": (304_391_189, 304_367_616),
    "linear_dinov2_large_reg": (304_395_285, 304_371_712),
    "linear_plain4": (138_189, 135_960),
}


def test_scores_are_linear_in_normalised_features():
    model = Linear(num_classes=3, backbone="_dinov2")
    variables, images = random_variables(model), normal(2, 28, 42, 3)
    features = model.make_backbone().apply({"params": variables["params"]["backbone"]}, images)
    x = np.asarray(features["res5"], np.float64)
    x = reference.normalize(x, variables["params"]["bn"], variables["batch_stats"]["bn"])
    scores = reference.convolve(x, variables["params"]["score"])
    expected = np.stack([reference.interpolate(maps, (28, 42)) for maps in scores])
    found = jax.jit(model.apply)(variables, images)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("network", [Linear, GCN])
def test_features_that_are_given_stand_for_those_of_the_backbone(network):
    model = network(num_classes=3, backbone="_dinov2", frozen_backbone=True)
    variables, images = random_variables(model), normal(2, 30, 45, 3)
    features = model.make_backbone().apply({"params": variables["params"]["backbone"]}, images)
    given = {FEATURES: {level: features[level] for level in model.levels}, **variables}
    head = {name: leaves for name, leaves in variables["params"].items() if name != "backbone"}
    apply = jax.jit(model.apply)
    found = apply({**given, "params": head}, np.zeros_like(images))
    np.testing.assert_allclose(found, apply(variables, images), atol=1e-5)


@pytest.mark.parametrize("network", [Linear, GCN])
def test_a_frozen_backbone_has_no_gradient_and_moves_no_statistics(network):
    model = network(num_classes=3, backbone="_tiny", frozen_backbone=True)
    variables, images = random_variables(model), normal(2, 16, 24, 3)

    @jax.jit
    def gradient(params):
        def loss(params):
            logits, updates = model.apply(
                {**variables, "params": params}, images, train=True, mutable=["batch_stats"]
            )
            return jnp.square(logits - 1).mean(), updates["batch_stats"]

        return jax.grad(loss, has_aux=True)(params)

    grads, statistics = gradient(variables["params"])
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(grads["backbone"]))
    heads = {name: leaves for name, leaves in grads.items() if name != "backbone"}
    assert all(np.any(leaf) for leaf in jax.tree.leaves(heads))
    jax.tree.map(
        np.testing.assert_array_equal,
        statistics["backbone"],
        variables["batch_stats"]["backbone"],
    )
