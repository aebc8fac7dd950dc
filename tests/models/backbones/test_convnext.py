"""ConvNeXt: its blocks against numpy, what images of any size give, stochastic depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.convnext import VARIANTS, Block, ConvNeXt
from tests.helpers import reference
from tests.helpers.random_values import normal, random_params, random_variables


def layer_norm(x, layer):
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation * layer["scale"] + layer["bias"]


def test_a_block_adds_its_scaled_branch():
    x = normal(2, 5, 9, 3)
    params = random_params(Block(), x)
    depthwise = params["depthwise"]["kernel"]
    assert depthwise.shape == (7, 7, 1, 3)
    parts = [
        reference.convolve(
            x[..., i : i + 1].astype(np.float64),
            {"kernel": depthwise[..., i : i + 1], "bias": params["depthwise"]["bias"][i]},
            padding=3,
        )
        for i in range(3)
    ]
    y = layer_norm(np.concatenate(parts, axis=-1), params["norm"])
    y = reference.convolve(y, params["expand"])
    y = reference.convolve(y * scipy.stats.norm.cdf(y), params["reduce"])
    expected = x + y * params["layer_scale"]
    np.testing.assert_allclose(Block().apply({"params": params}, x), expected, atol=1e-5)


@pytest.fixture(scope="module")
def small():
    model = ConvNeXt("_tiny", norm_features=True)
    return jax.jit(model.apply), random_variables(model)


def test_what_fills_no_patch_is_left_out(small):
    apply, variables = small
    image = normal(1, 47, 66, 3)
    features = apply(variables, image)
    assert {name: array.shape for name, array in features.items()} == {
        "res2": (1, 11, 16, 4),
        "res3": (1, 5, 8, 8),
        "res4": (1, 2, 4, 12),
        "res5": (1, 1, 2, 16),
    }
    image[:, 44:] = image[:, :, 64:] = 7
    jax.tree.map(np.testing.assert_array_equal, apply(variables, image), features)


def test_an_image_smaller_than_a_patch_of_the_last_stage_has_features(small):
    apply, variables = small
    image = normal(1, 33, 32, 3)
    image[:, 3:] = image[:, :, 17:] = 0
    whole = apply(variables, image)
    cut = apply(variables, image[:, :3, :17])
    for name, rows, columns in (("res2", 1, 4), ("res3", 1, 2), ("res4", 1, 1), ("res5", 1, 1)):
        np.testing.assert_allclose(cut[name], whole[name][:, :rows, :columns], atol=1e-6)


def test_features_without_norms_are_those_that_norms_are_given(small):
    apply, variables = small
    image = normal(1, 32, 64, 3)
    params = {k: v for k, v in variables["params"].items() if not k.startswith("norm")}
    bare = jax.jit(ConvNeXt("_tiny").apply)({"params": params}, image)
    for name, features in apply(variables, image).items():
        layer = variables["params"][name.replace("res", "norm")]
        expected = layer_norm(np.asarray(bare[name], np.float64), layer)
        np.testing.assert_allclose(features, expected, atol=1e-5)


def test_a_dropped_branch_leaves_the_shortcut_of_an_example():
    x = normal(64, 1, 1, 3)
    params = random_params(Block(), x)
    branch = Block().apply({"params": params}, x) - x
    y = Block(drop=0.25).apply({"params": params}, x, rngs={"dropout": jax.random.key(0)})
    kept = np.asarray(np.abs(y - x).max(axis=(1, 2, 3)) > 0)
    assert 0.6 < kept.mean() < 0.9
    expected = x + np.where(kept[:, None, None, None], branch / 0.75, 0)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_branches_are_dropped_more_often_the_deeper_they_are():
    drops = ConvNeXt("tiny")._drops()
    assert len(drops) == sum(VARIANTS["tiny"].blocks)
    np.testing.assert_allclose(drops[[0, 17]], [0, 0.1])
    np.testing.assert_allclose(np.diff(drops), 0.1 / 17)
    assert ConvNeXt("base", stochastic_depth=0.4)._drops()[-1] == 0.4


def test_training_without_stochastic_depth_is_prediction(small):
    apply, variables = small
    image = normal(1, 32, 32, 3)
    model = ConvNeXt("_tiny", norm_features=True, stochastic_depth=0.0)
    trained = jax.jit(lambda v, x: model.apply(v, x, train=True))(variables, image)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), trained, apply(variables, image)
    )


def test_bfloat16_computes_features_in_bfloat16_and_scores_in_float32():
    model = ConvNeXt("_tiny", num_classes=10, dtype=jnp.bfloat16)
    images = normal(1, 33, 33, 3)
    outputs, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert outputs["res5"].dtype == jnp.bfloat16
    assert outputs["logits"].dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_an_unknown_variant_names_the_known_ones():
    with pytest.raises(UserError, match="unknown variant of ConvNeXt 'huge'; choose one of: tiny"):
        ConvNeXt("huge")
