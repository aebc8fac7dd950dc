"""FCN against a loop over windows in numpy, and where its scores lie in the image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.models.fcn import FCN, Upsample
from gcn_jax.models.network import variable_shapes
from tests.helpers import reference
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
# Deconvolutions have none: with kernels that learn FCN-8s has the published 134,489,759 (below).
PARAMETERS = {
    "fcn32s_vgg16": (134_346_581, 134_260_544),
    "fcn16s_vgg16": (134_357_354, 134_260_544),
    "fcn8s_vgg16": (134_362_751, 134_260_544),
}

LEVELS = {
    32: ("score_fr",),
    16: ("score_fr", "score_pool4"),
    8: ("score_fr", "score_pool4", "score_pool3"),
}


def crop(x, offset, shape):
    return x[:, offset : offset + shape[1], offset : offset + shape[2]]


def fcn(params, images, stride):
    """Compute logits, with the offsets of the reference's prototxt files."""
    backbone, x, pooled = params["backbone"], images.astype(np.float64), {}
    for number in (1, 2, 3, 4, 5):
        paddings = (100, 1) if number == 1 else (1, 1, 1)
        x = reference.conv_stack(x, backbone[f"stage{number}"], paddings=paddings)
        x = pooled[number] = reference.max_pool(x, 2, 2, 0, ceil_mode=True)
    for name in ("fc6", "fc7"):
        x = np.maximum(reference.convolve(x, backbone[name]), 0)
    x = reference.convolve(x, params["score_fr"])
    if stride <= 16:
        x = reference.deconvolve_bilinear(x, 2)
        x += crop(reference.convolve(pooled[4], params["score_pool4"]), 5, x.shape)
    if stride == 8:
        x = reference.deconvolve_bilinear(x, 2)
        x += crop(reference.convolve(pooled[3], params["score_pool3"]), 9, x.shape)
    x = reference.deconvolve_bilinear(x, stride)
    return crop(x, {32: 19, 16: 27, 8: 31}[stride], images.shape)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_logits_are_those_of_the_definition(stride):
    model = FCN(num_classes=3, stride=stride, width=1 / 32)
    variables, images = random_variables(model), normal(1, 21, 34, 3)
    expected = fcn(variables["params"], images, stride)
    logits = jax.jit(model.apply)(variables, images)
    assert logits.shape == (1, 21, 34, 3)
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


class _Positions(nn.Module):
    """In place of the backbone, for 90 x 90 pixels: features say at which pixel they lie."""

    @nn.compact
    def __call__(self, images, *, train):
        def positions(first, stride, count):
            rows = first + stride * jnp.arange(count, dtype=jnp.float32)
            return jnp.stack(jnp.meshgrid(rows, rows, indexing="ij"), axis=-1)[None]

        # conv1 has its first element at pixel -99; fc6 sees seven elements of pool5.
        return {
            "pool3": positions(3.5 - 99, 8, 36),
            "pool4": positions(7.5 - 99, 16, 18),
            "fc7": positions(15.5 - 99 + 3 * 32, 32, 3),
        }


def test_what_is_added_lies_at_the_same_pixel(monkeypatch):
    """Interpolation keeps what is linear, so each level scores a pixel by where it is."""
    monkeypatch.setattr(FCN, "make_backbone", lambda self: _Positions(name="backbone"))
    identity = {"kernel": np.eye(2, dtype="float32")[None, None], "bias": np.zeros(2, "float32")}

    @jax.jit
    def run(images):
        return {
            stride: FCN(num_classes=2, stride=stride).apply(
                {"params": {name: identity for name in levels}}, images
            )
            for stride, levels in LEVELS.items()
        }

    inner = np.arange(32, 60)  # where the zeros around fc7 do not reach
    positions = np.stack(np.meshgrid(inner, inner, indexing="ij"), axis=-1)
    for stride, logits in run(np.zeros((1, 90, 90, 3), "float32")).items():
        expected = len(LEVELS[stride]) * positions
        np.testing.assert_allclose(logits[0, 32:60, 32:60], expected, atol=1e-3)


@pytest.mark.parametrize("factor", [2, 8])
def test_upsampling_that_learns_starts_as_the_one_that_does_not(factor):
    x = normal(1, 3, 4, 5)
    learned, variables = Upsample(factor, learn=True).init_with_output(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables["params"]) == {
        "kernel": (2 * factor, 2 * factor, 5, 5)
    }
    fixed = Upsample(factor).apply({}, x)
    np.testing.assert_allclose(fixed, reference.deconvolve_bilinear(x, factor), atol=1e-5)
    np.testing.assert_allclose(learned, fixed, atol=1e-5)


def test_parameters_with_dense_deconvolutions_are_those_of_the_published_model():
    """The reference's kernels are dense, 21 x 21 channels, though only their diagonal is not 0."""
    params = variable_shapes(FCN(num_classes=21, learn_upsampling=True))["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 134_489_759


def test_another_stride_is_refused():
    with pytest.raises(UserError, match="no stride 4; choose one of 32, 16, 8"):
        FCN(num_classes=3, stride=4)
