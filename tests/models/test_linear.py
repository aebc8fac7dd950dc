"""Linear: the scores of a backbone's features, and a backbone that stays as it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.models import GCN, Linear
from tests.helpers import reference
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {}


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
