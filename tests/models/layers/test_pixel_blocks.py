"""Maps in blocks of pixels: the same values and gradients, in another order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, NamedSharding, PartitionSpec

from gcn_jax.models.layers import (
    Conv,
    Deconv2x,
    backend,
    depth_to_space,
    formulation_for,
    keeps_blocks,
    pixels_last,
    plain_formulation,
    space_to_depth,
)
from tests.helpers.random_values import normal, random_params

TPU = AbstractDevice(device_kind="TPU v5 lite", num_cores=1, platform="tpu")


def test_blocks_by_hand():
    x = jnp.arange(16).reshape(1, 4, 4, 1)
    blocks = space_to_depth(x, 2)
    assert blocks[0, 0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    np.testing.assert_array_equal(depth_to_space(blocks, 2), x)
    assert space_to_depth(x, 1) is depth_to_space(x, 1) is x


def test_the_pixels_of_blocks_lie_behind_the_channels():
    x = normal(2, 8, 12, 3)
    laid = pixels_last(x, 4)
    assert laid.shape == (2, 16, 3, 2, 3)
    np.testing.assert_array_equal(laid[1, 4 * 2 + 3, 1], x[1, 2::4, 3::4, 1])


def test_maps_in_blocks_are_never_whole_on_their_way_to_the_loss():
    def total(blocks):
        return jnp.sum(jax.nn.log_softmax(pixels_last(depth_to_space(blocks, 4), 4), axis=2)[:, 0])

    program = jax.jit(jax.grad(total)).lower(normal(2, 8, 8, 16 * 21)).compile().as_text()
    assert "[2,8,8,336]" in program
    assert "[2,32,32,21]" not in program


def value_and_gradients(layer, params, x, weights):
    """Return the output, and the gradients of parameters and input for a weighted sum of it."""
    y, pull = jax.vjp(lambda params, x: layer.apply({"params": params}, x), params, x)
    return y, *pull(weights.reshape(y.shape))


def assert_equal(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize(("block", "size"), [(2, 1), (2, 3), (2, 5), (4, 3), (3, 7)])
def test_a_convolution_of_blocks_is_that_of_their_pixels(block, size):
    x, weights = normal(2, 12, 24, 3), normal(2, 12, 24, 5, seed=1)
    layer = Conv(5, (size, size))
    params = random_params(layer, x)
    with plain_formulation():
        y, gradient, gradient_x = value_and_gradients(layer, params, x, weights)
    found = value_and_gradients(
        layer.copy(block=block), params, *(space_to_depth(a, block) for a in (x, weights))
    )
    assert_equal(found, (space_to_depth(y, block), gradient, space_to_depth(gradient_x, block)))


@pytest.mark.parametrize("block", [2, 4, 6])
def test_a_deconvolution_of_blocks_is_that_of_their_pixels(block):
    x, weights = normal(2, 6, 12, 3), normal(2, 12, 24, 3, seed=1)
    layer = Deconv2x()
    params = random_params(layer, x)
    with plain_formulation():
        y, gradient, gradient_x = value_and_gradients(layer, params, x, weights)
    half = block // 2
    found = value_and_gradients(
        layer.copy(block=block), params, space_to_depth(x, half), space_to_depth(weights, block)
    )
    assert_equal(found, (space_to_depth(y, block), gradient, space_to_depth(gradient_x, half)))


def test_parameters_do_not_depend_on_blocks():
    x, blocks = jnp.ones((1, 4, 4, 3)), jnp.ones((1, 2, 2, 12))
    for layer, twice in [
        (Conv(5, (3, 3)), Conv(5, (3, 3), block=2)),
        (Deconv2x(), Deconv2x(block=4)),
    ]:
        expected, found = (
            jax.eval_shape(layer.init, jax.random.key(0), x)
            for layer, x in [(layer, x), (twice, blocks)]
        )
        assert found == expected


def test_blocks_are_for_few_channels_on_a_tpu(monkeypatch):
    few, many = jnp.ones((2, 2, 2, 32)), jnp.ones((2, 2, 2, 33))
    assert not keeps_blocks(few)
    with formulation_for("tpu"):
        assert keeps_blocks(few)
        assert not keeps_blocks(many)
        with plain_formulation():
            assert not keeps_blocks(few)

    mesh = AbstractMesh((2,), ("data",), abstract_device=TPU)
    with jax.sharding.use_abstract_mesh(mesh):
        assert keeps_blocks(few)
    split = NamedSharding(mesh, PartitionSpec("data"))
    kept: list = []
    jax.eval_shape(
        lambda x: kept.append(keeps_blocks(x + 1)),
        jax.ShapeDtypeStruct(few.shape, few.dtype, sharding=split),
    )
    assert kept == [True]

    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert keeps_blocks(few)
    assert backend.formulation(few) is backend.tpu
