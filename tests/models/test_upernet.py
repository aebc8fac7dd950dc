"""UPerNet: pyramid pooling and feature pyramid against numpy, its classifiers."""

import jax
import numpy as np
import pytest

from gcn_jax.models import UPerNet
from gcn_jax.models.layers.pooling import adaptive_avg_pool
from gcn_jax.models.network import AUXILIARY
from gcn_jax.models.upernet import BINS
from tests.helpers import reference
from tests.helpers.networks import without_dropout
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {
    "upernet_convnext_tiny": (60_143_306, 27_821_472),
    "upernet_convnext_small": (81_777_866, 49_456_032),
    "upernet_convnext_base": (122_003_626, 87_568_256),
    "upernet_convnext_large": (234_895_466, 196_233_024),
    "upernet_convnext_xlarge": (391_041_066, 348_151_552),
    "upernet_resnet50": (66_397_546, 23_508_032),
    "upernet_plain4": (27_063_362, 135_960),
}


@pytest.mark.slow
def test_all_levels_are_scored_together_and_in_training_res4_by_itself():
    still = {"frozen_batch_norm": True, "stochastic_depth": 0.0}
    model = UPerNet(num_classes=3, backbone="_convnext", features=4, **still)
    variables, images = random_variables(model), normal(2, 70, 100, 3)
    parts = {
        name: tuple(variables[collection].get(name, {}) for collection in ("params", "batch_stats"))
        for name in variables["params"]
    }
    features = model.make_backbone().apply({"params": parts["backbone"][0]}, images)
    deepest = features["res5"]
    assert deepest.shape == (2, 2, 3, 16)

    def resize(x, size):
        return np.stack([reference.interpolate(maps, size) for maps in x])

    def layer(x, name, padding=0):
        return reference.conv_norm_relu(np.asarray(x, np.float64), *parts[name], padding=padding)

    means = [
        resize(layer(adaptive_avg_pool(deepest, bins), f"bins{bins}"), (2, 3)) for bins in BINS
    ]
    x = layer(np.concatenate([deepest, *means], axis=-1), "ppm", padding=1)
    levels = [resize(x, (17, 25))]
    for level in (4, 3, 2):
        lateral = layer(features[f"res{level}"], f"lateral{level}")
        x = lateral + resize(x, lateral.shape[1:3])
        levels.insert(0, resize(layer(x, f"fpn{level}", padding=1), (17, 25)))
    expected = reference.score_head(np.concatenate(levels, axis=-1), *parts["head"], (70, 100))

    with without_dropout() as rates:
        logits, sown = jax.jit(lambda v, x: model.apply(v, x, train=True, mutable=[AUXILIARY]))(
            variables, images
        )
    assert rates[-2:] == [0.1, 0.1]
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    weight, auxiliary = sown[AUXILIARY]["res4"]
    assert weight == 0.4
    expected = reference.score_head(
        np.asarray(features["res4"], np.float64), *parts["auxiliary_head"], (70, 100)
    )
    np.testing.assert_allclose(auxiliary, expected, atol=1e-4)
    for trees in variables.values():
        del trees["auxiliary_head"]  # prediction does without
    np.testing.assert_allclose(jax.jit(model.apply)(variables, images), logits, atol=1e-5)
