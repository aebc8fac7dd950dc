"""Pooling against loops over windows in numpy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.models.layers import backend, pooling
from tests.helpers import reference
from tests.helpers.random_values import normal


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
def test_max_pool(platform, monkeypatch):
    monkeypatch.setattr(backend, "target_platform", lambda x: platform)
    images = [normal(2, *size, 3) - 5 for size in [(8, 7), (9, 5)]]  # negative: padding is no zero
    windows = [(3, 2, 1), (2, 2, 0), (3, 1, 1), (2, 3, 1)]
    cases = list(itertools.product(range(len(images)), windows, [False, True]))

    @jax.jit
    def all_cases(images):
        return [pooling.max_pool(images[i], *w, ceil_mode=ceil) for i, w, ceil in cases]

    for (i, window, ceil_mode), y in zip(cases, all_cases(images), strict=True):
        np.testing.assert_array_equal(y, reference.max_pool(images[i], *window, ceil_mode))


def test_max_pool_takes_3x3_windows_around_every_other_pixel():
    x = -np.arange(1.0, 21.0, dtype="float32").reshape(1, 4, 5, 1)
    y = jax.jit(pooling.max_pool)(x)
    np.testing.assert_array_equal(y[0, :, :, 0], [[-1, -2, -4], [-6, -7, -9]])


def test_ceil_mode_adds_windows_that_reach_beyond_but_none_that_starts_beyond():
    @jax.jit
    def pools(x):
        settings = [(2, 2, 0, False), (2, 2, 0, True), (2, 3, 1, True)]
        return [pooling.max_pool(x, *s[:3], ceil_mode=s[3])[0, 0, :, 0] for s in settings]

    x = np.tile(np.arange(1.0, 6.0, dtype="float32")[None, None, :, None], (1, 5, 1, 1))
    floor, ceil, padded = pools(x)
    assert floor.tolist() == [2, 4]
    assert ceil.tolist() == [2, 4, 5]
    # A third window would start at pixel 5, in the padding behind the image.
    assert padded.tolist() == [1, 4]


def spread(x, indices, size):
    """Put `[N, h, w, C]` where indices say, pixel by pixel."""
    y = np.zeros((x.shape[0], *size, x.shape[3]), x.dtype)
    for n, i, j, c in np.ndindex(*x.shape):
        row, column = divmod(int(indices[n, i, j, c]), 2)
        y[n, 2 * i + row, 2 * j + column, c] = x[n, i, j, c]
    return y


@pytest.mark.parametrize("size", [(6, 4), (5, 7), (1, 1), (1, 2)])
def test_indices_say_where_the_maxima_were(size):
    x = np.round(normal(2, *size, 3)) - 5  # few values: ties
    maxima, indices = jax.jit(pooling.max_pool_with_indices)(x)
    np.testing.assert_array_equal(maxima, reference.max_pool(x, 2, 2, 0, ceil_mode=True))
    assert indices.dtype == jnp.int8
    at_maxima = spread(np.ones_like(maxima), indices, size)
    for n, i, j, c in np.ndindex(*maxima.shape):
        area = x[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        expected = np.zeros_like(area)
        expected.flat[np.argmax(area)] = 1  # the first in reading order
        marked = at_maxima[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        np.testing.assert_array_equal(marked, expected)

    values = normal(*maxima.shape, seed=1)
    unpooled = jax.jit(pooling.max_unpool, static_argnums=2)(values, indices, size)
    np.testing.assert_array_equal(unpooled, spread(values, indices, size))


def test_gradients_go_to_the_maxima_and_come_from_where_they_were():
    x, size = normal(1, 5, 3, 2), (5, 3)
    g, h = normal(1, 3, 2, 2, seed=1), normal(*x.shape, seed=2)

    @jax.jit
    def run(x):
        maxima, pull, indices = jax.vjp(pooling.max_pool_with_indices, x, has_aux=True)
        _, pull_unpool = jax.vjp(lambda values: pooling.max_unpool(values, indices, size), maxima)
        return indices, pull(g)[0], pull_unpool(h)[0]

    indices, pooled, unpooled = run(x)
    np.testing.assert_array_equal(pooled, spread(g, indices, size))
    expected = np.empty_like(g)
    for n, i, j, c in np.ndindex(*g.shape):
        row, column = divmod(int(indices[n, i, j, c]), 2)
        expected[n, i, j, c] = h[n, 2 * i + row, 2 * j + column, c]
    np.testing.assert_array_equal(unpooled, expected)


def test_nan_is_a_maximum():
    x = np.zeros((1, 2, 2, 1), "float32")
    x[0, 1, 0] = np.nan
    maxima, indices = jax.jit(pooling.max_pool_with_indices)(x)
    assert np.isnan(maxima).all()
    assert indices.item() == 2


def test_avg_pool_divides_by_nine_at_the_border_too():
    x = normal(2, 4, 5, 3)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = np.empty_like(x)
    for i, j in np.ndindex(4, 5):
        expected[:, i, j] = padded[:, i : i + 3, j : j + 3].sum(axis=(1, 2)) / 9
    np.testing.assert_allclose(jax.jit(pooling.avg_pool)(x), expected, atol=1e-6)


@pytest.mark.parametrize(("size", "bins"), [((12, 6), 6), ((7, 10), 3), ((4, 1), 6), ((5, 9), 1)])
def test_adaptive_avg_pool_covers_the_image_with_uneven_bins(size, bins):
    x = normal(2, *size, 3)
    expected = np.empty((2, bins, bins, 3))
    for i, j in np.ndindex(bins, bins):
        (top, bottom), (left, right) = (
            (int(np.floor(k * n / bins)), int(np.ceil((k + 1) * n / bins)))
            for k, n in zip((i, j), size, strict=True)
        )
        expected[:, i, j] = x[:, top:bottom, left:right].mean(axis=(1, 2))
    means = jax.jit(pooling.adaptive_avg_pool, static_argnums=1)(x, bins)
    np.testing.assert_allclose(means, expected, atol=1e-6)


def test_adaptive_avg_pool_sums_in_float32():
    x = jnp.full((1, 60, 60, 1), 1 + 2**-7, jnp.bfloat16)
    y = pooling.adaptive_avg_pool(x, (2, 3))
    assert (y.shape, y.dtype) == ((1, 2, 3, 1), jnp.bfloat16)
    np.testing.assert_array_equal(np.float32(y), np.float32(1 + 2**-7) * np.ones((1, 2, 3, 1)))
