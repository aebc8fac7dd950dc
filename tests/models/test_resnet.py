"""ResNets against torchvision's outputs, with weights through the importer."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models import torchvision_weights

from gcn_jax.errors import UserError
from gcn_jax.models.importers import import_resnet
from gcn_jax.models.resnet import ResNet

DATA = Path(__file__).parents[1] / "data"


def images(height, width):
    rng = np.random.default_rng(height)
    return rng.standard_normal((1, height, width, 3)).astype("float32")


def assert_close(actual, expected, name):
    error = np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()
    assert error < 1e-4, f"{name}: relative error {error}"


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_features_and_logits_are_those_of_torchvision(depth):
    model = ResNet(depth=depth, num_classes=1000)
    variables = import_resnet(torchvision_weights.state_dict(depth), model)
    reference = np.load(DATA / f"resnet{depth}.npz")
    for size in [(64, 96), (65, 97)]:
        # Not under jit: 155 layers of few shapes are faster run one by one than compiled.
        outputs = model.apply(variables, images(*size))
        prefix = "{}x{}/".format(*size)
        assert_close(outputs.pop("logits"), reference[prefix + "logits"], f"{prefix}logits")
        assert list(outputs) == ["res2", "res3", "res4", "res5"]
        for name, features in outputs.items():
            assert_close(features[..., :16], reference[prefix + name], prefix + name)
            moments = np.array([features.mean(), features.std()])
            assert_close(moments, reference[prefix + name + "_moments"], f"{prefix}{name} moments")


def test_frozen_batch_norm_trains_as_it_predicts():
    model = ResNet(depth=18, frozen_batch_norm=True)
    variables = import_resnet(torchvision_weights.state_dict(18), model)
    features, updates = model.apply(variables, images(64, 96), train=True, mutable=["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], variables["batch_stats"])
    reference = np.load(DATA / "resnet18.npz")
    assert_close(features["res5"][..., :16], reference["64x96/res5"], "res5")


def test_feature_sizes_are_the_ceiling_of_the_strides():
    model = ResNet(depth=50)
    outputs = jax.eval_shape(model.init_with_output, jax.random.key(0), images(65, 97))[0]
    assert {name: features.shape for name, features in outputs.items()} == {
        "res2": (1, 17, 25, 256),
        "res3": (1, 9, 13, 512),
        "res4": (1, 5, 7, 1024),
        "res5": (1, 3, 4, 2048),
    }


def test_bfloat16_computes_features_in_bfloat16_and_scores_in_float32():
    model = ResNet(depth=18, num_classes=10, dtype=jnp.bfloat16)
    outputs, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images(33, 33))
    assert outputs["res5"].dtype == jnp.bfloat16
    assert outputs["logits"].dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_an_unknown_depth_names_the_known_ones():
    with pytest.raises(UserError, match=r"no depth 42; choose one of \[18, 34, 50, 101, 152\]"):
        ResNet(depth=42)
