"""Attention against numpy."""

import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.models.layers import attend
from tests.helpers.random_values import normal


@pytest.mark.parametrize("heads", [1, 3])
def test_each_pixel_takes_a_mean_of_values(heads):
    query = normal(2, 3, 5, 6, seed=0)
    key, value = normal(2, 2, 2, 6, seed=1), normal(2, 2, 2, 6, seed=2)
    expected = np.empty((2, 15, 6))
    for image in range(2):
        for part in np.split(np.arange(6), heads):
            q, k, v = (
                x[image].reshape(-1, 6)[:, part].astype(np.float64) for x in (query, key, value)
            )
            weights = np.exp(q @ k.T / np.sqrt(len(part)))
            expected[image][:, part] = weights / weights.sum(1, keepdims=True) @ v
    found = attend(query, key, value, heads)
    np.testing.assert_allclose(found, expected.reshape(query.shape), atol=1e-6)


def test_large_products_do_not_overflow_in_bfloat16():
    query = jnp.full((1, 1, 2, 4), 100, jnp.bfloat16)
    value = jnp.asarray(normal(1, 1, 3, 4), jnp.bfloat16)
    key = jnp.stack([query[:, :, 0], -query[:, :, 0], query[:, :, 0] / 2], axis=2)
    found = attend(query, key, value, 2)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found[0, 0, 0], value[0, 0, 0])
