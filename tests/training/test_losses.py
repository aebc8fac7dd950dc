import jax
import jax.numpy as jnp
import numpy as np

from gcn_jax.training.losses import cross_entropy_sum, valid_pixels

LOGITS = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.2, 0.6, 0.2]]))


def test_cross_entropy_by_hand():
    loss = cross_entropy_sum(logits=LOGITS, labels=jnp.array([0, 2, 0]))
    np.testing.assert_allclose(loss, -np.log(0.5 * 0.8 * 0.2), rtol=1e-6)


def test_void_equals_leaving_out():
    labels = jnp.array([0, 255, 1], jnp.uint8)
    subset = cross_entropy_sum(logits=LOGITS[jnp.array([0, 2])], labels=jnp.array([0, 1]))
    np.testing.assert_allclose(cross_entropy_sum(logits=LOGITS, labels=labels), subset, rtol=1e-6)
    assert valid_pixels(labels) == 2
    gradient = jax.grad(lambda x: cross_entropy_sum(logits=x, labels=labels))(LOGITS)
    np.testing.assert_array_equal(gradient[1], 0)
    assert np.abs(gradient[0]).min() > 0


def test_all_void_is_zero_with_zero_gradient():
    labels = jnp.full((3,), 255, jnp.uint8)
    value, gradient = jax.value_and_grad(lambda x: cross_entropy_sum(logits=x, labels=labels))(
        LOGITS * 1e4
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_bfloat16_logits_are_summed_in_float32():
    logits = jnp.zeros((300, 100, 3), jnp.bfloat16)
    labels = jnp.zeros((300, 100), jnp.uint8)
    loss = cross_entropy_sum(logits=logits, labels=labels)
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, 30_000 * np.log(3), rtol=1e-5)
