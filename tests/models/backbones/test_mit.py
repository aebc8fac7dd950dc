"""MiT: its parts against numpy, what images of any size give, stochastic depth."""

import jax
import numpy as np
import pytest
import scipy.stats

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.mit import Block, EfficientAttention, MiT, MixFFN
from tests.helpers import reference
from tests.helpers.random_values import normal, random_params, random_variables


def layer_norm(x, layer):
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation * layer["scale"] + layer["bias"]


def test_attention_is_to_means_of_windows():
    """A row and a column that fill no window are not seen."""
    x = normal(1, 5, 7, 4)
    attention = EfficientAttention(heads=2, reduction=2)
    params = random_params(attention, x)
    assert params["reduce"]["kernel"].shape == (2, 2, 4, 4)
    seen = reference.convolve(x[:, :4, :6].astype(np.float64), params["reduce"])[:, ::2, ::2]
    seen = layer_norm(seen, params["norm"])
    query = reference.convolve(x.astype(np.float64), params["query"]).reshape(35, 4)
    key, value = (reference.convolve(seen, params[n]).reshape(6, 4) for n in ("key", "value"))
    parts = []
    for part in (slice(0, 2), slice(2, 4)):
        weights = np.exp(query[:, part] @ key[:, part].T / np.sqrt(2))
        parts.append(weights / weights.sum(1, keepdims=True) @ value[:, part])
    mean = np.concatenate(parts, axis=1).reshape(x.shape)
    expected = reference.convolve(mean, params["out"])
    found = attention.apply({"params": params}, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_map_smaller_than_a_window_is_one_window():
    attention = EfficientAttention(heads=1, reduction=4)
    x = normal(1, 2, 3, 4)
    params = random_params(attention, x)
    padded = np.zeros((1, 4, 4, 4), "float32")
    padded[:, :2, :3] = x
    found = attention.apply({"params": params}, x)
    np.testing.assert_allclose(
        found, attention.apply({"params": params}, padded)[:, :2, :3], atol=1e-6
    )


def test_a_perceptron_mixes_neighbours():
    x = normal(1, 4, 3, 2)
    ffn = MixFFN(expansion=3)
    params = random_params(ffn, x)
    hidden = reference.convolve(x.astype(np.float64), params["expand"])
    kernel, bias = params["mix"]["kernel"], params["mix"]["bias"]
    assert kernel.shape == (3, 3, 1, 6)
    mixed = np.concatenate(
        [
            reference.convolve(
                hidden[..., i : i + 1], {"kernel": kernel[..., i : i + 1], "bias": bias[i]}, 1
            )
            for i in range(6)
        ],
        axis=-1,
    )
    expected = reference.convolve(mixed * scipy.stats.norm.cdf(mixed), params["project"])
    np.testing.assert_allclose(ffn.apply({"params": params}, x), expected, atol=1e-5)


def test_branches_are_left_out_image_by_image():
    block = Block(heads=1, reduction=1, drop=0.5, train=True)
    x = np.broadcast_to(normal(1, 3, 3, 2), (64, 3, 3, 2))
    still = Block(heads=1, reduction=1, drop=0.5, train=False)
    params = random_params(still, x)
    found = block.apply({"params": params}, x, rngs={"dropout": jax.random.key(0)})
    kinds = np.unique(np.round(np.asarray(found).reshape(64, -1), 4), axis=0)
    assert len(kinds) == 4  # neither branch, the one, the other, both
    assert any(np.allclose(kind, x[0].ravel(), atol=1e-3) for kind in kinds)


def test_an_image_of_one_pixel_has_features():
    model = MiT("_tiny")
    features = jax.jit(model.apply)(random_variables(model), normal(1, 1, 1, 3))
    assert {name: x.shape for name, x in features.items()} == {
        "res2": (1, 1, 1, 4),
        "res3": (1, 1, 1, 8),
        "res4": (1, 1, 1, 10),
        "res5": (1, 1, 1, 16),
    }
    assert all(np.isfinite(x).all() for x in features.values())


def test_an_unknown_variant_is_named():
    with pytest.raises(UserError, match="unknown variant of MiT 'b6'"):
        MiT("b6")
