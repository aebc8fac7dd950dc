"""Networks on images that are split over a mesh of Auto or of Explicit axes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gcn_jax.models import create_model
from gcn_jax.models.layers import plain_formulation
from gcn_jax.models.registry import TINY_MODELS
from tests.helpers.random_values import normal, random_variables

SPECS = {"batch": PartitionSpec("devices"), "height": PartitionSpec(None, "devices")}


@functools.cache
def network(name):
    """Return a small network, its variables and what is asked of it: logits and gradient."""
    model = create_model(name, num_classes=3, **TINY_MODELS[name])

    def logits_and_gradient(variables, images):
        def loss(params):
            logits = model.apply({**variables, "params": params}, images)
            return jnp.mean(jnp.square(logits - 1)), logits

        gradient, logits = jax.grad(loss, has_aux=True)(variables["params"])
        return logits, gradient

    return model, random_variables(model), logits_and_gradient


@functools.cache
def on_one_device(name):
    _, variables, ask = network(name)
    with plain_formulation():
        return jax.jit(ask)(variables, normal(4, 32, 16, 3))


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
@pytest.mark.parametrize("split", SPECS)
@pytest.mark.parametrize("name", TINY_MODELS)
def test_split_images_give_the_values_of_one_device(name, split, kind):
    _, variables, ask = network(name)
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(kind,), devices=jax.devices()[:4])
    images = jax.device_put(normal(4, 32, 16, 3), NamedSharding(mesh, SPECS[split]))
    with plain_formulation():
        logits, gradient = jax.jit(ask)(variables, images)
    expected_logits, expected = on_one_device(name)
    if kind == AxisType.Explicit:
        assert logits.sharding.spec[: len(SPECS[split])] == SPECS[split]
    scale = float(np.abs(expected_logits).max())
    np.testing.assert_allclose(logits, expected_logits, rtol=0, atol=1e-5 * scale)
    leaves = traverse_util.flatten_dict(expected, sep="/")
    for path, leaf in traverse_util.flatten_dict(gradient, sep="/").items():
        atol = 1e-5 * max(float(np.abs(leaves[path]).max()), 1e-3)
        np.testing.assert_allclose(leaf, leaves[path], rtol=0, atol=atol, err_msg=path)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
def test_the_cpu_formulation_and_training_on_a_mesh(kind):
    model, variables, ask = network("_tiny")
    mesh = jax.make_mesh((8,), ("data",), axis_types=(kind,))
    images = jax.device_put(normal(8, 16, 16, 3), NamedSharding(mesh, PartitionSpec("data")))
    logits, gradient = jax.jit(ask)(variables, images)
    expected_logits, expected = jax.jit(ask)(variables, np.asarray(images))
    np.testing.assert_allclose(logits, expected_logits, rtol=0, atol=1e-5)
    for leaf, other in zip(*map(jax.tree.leaves, (gradient, expected)), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=0, atol=1e-5 * max(np.abs(other).max(), 1e-3))

    def train(variables, images):
        return model.apply(variables, images, train=True, mutable=["batch_stats"])

    (logits, updates), (one, other) = (
        jax.jit(train)(variables, x) for x in (images, np.asarray(images))
    )
    np.testing.assert_allclose(logits, one, rtol=0, atol=1e-4)
    for leaf, expected in zip(*map(jax.tree.leaves, (updates, other)), strict=True):
        np.testing.assert_allclose(leaf, expected, rtol=1e-4, atol=1e-5)
    made = jax.jit(model.init)(jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, variables)
