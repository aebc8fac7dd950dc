"""What is computed in other words on a CPU, against XLA's own convolutions and pooling."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from gcn_jax.models import layers
from gcn_jax.models.layers import pooling
from gcn_jax.models.layers.cpu import convolution as cpu
from gcn_jax.models.layers.cpu import products as cpu_products
from tests.helpers.convolutions import (
    NHWC,
    assert_same,
    assert_same_convolution,
    convolve_by_xla,
    normal,
    program_of_the_gradient,
)


@pytest.mark.parametrize(
    ("kernel_size", "strides", "padding", "dilation", "c_in", "c_out"),
    [
        ((3, 3), 1, (1, 1), 1, 21, 21),  # padded to 24 channels
        ((3, 3), 1, (0, 2), 1, 5, 5),
        ((2, 2), 1, (1, 1), 1, 8, 12),
        ((3, 3), 1, (1, 1), 1, 33, 130),  # the gradient in one part
        ((3, 5), 1, (1, 2), 1, 40, 8),  # XLA's own
        ((5, 6), 1, (0, 0), 1, 4, 40),  # by windows
        ((15, 1), 1, (7, 0), 1, 84, 21),  # by taps, and longer than the image
        ((1, 7), 1, (0, 3), 1, 20, 5),
        ((5, 1), 1, (1, 2), 1, 33, 3),
        ((1, 15), 1, (0, 7), 1, 21, 21),
        ((3, 3), 2, (1, 1), 1, 16, 24),
        ((7, 7), 2, (3, 3), 1, 3, 64),
        ((1, 5), 3, (0, 2), 1, 8, 4),
        ((3, 2), 2, (0, 0), 1, 5, 40),
        ((2, 2), 2, (0, 0), 1, 5, 8),  # patches, and a row that fills none
        ((4, 4), 4, (0, 0), 1, 3, 16),
        ((3, 3), 1, (2, 2), 2, 40, 24),
        ((3, 3), 1, (2, 1), 3, 16, 24),  # padded
        ((3, 3), 1, (4, 4), 4, 84, 21),  # by taps
        ((3, 3), 1, (9, 9), 9, 24, 40),  # corners that see no pixel
        ((3, 3), 1, (1, 1), 1, 40, 5),
        ((5, 1), 1, (4, 0), 2, 40, 16),
        ((5, 5), 1, (4, 4), 2, 4, 40),  # XLA's own
        ((3, 3), 2, (2, 2), 2, 5, 40),
        ((5, 5), 1, (2, 2), 1, 84, 21),  # XLA's own
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_convolutions_and_their_gradients(
    kernel_size, strides, padding, dilation, c_in, c_out, dtype
):
    x = normal(2, 9, 6, c_in, dtype=dtype)
    kernel = normal(*kernel_size, c_in, c_out, seed=1, dtype=dtype)

    # bfloat16 has 8 bits: sums of taps are rounded once more.
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    assert_same_convolution(x, kernel, strides, padding, dilation, tolerance=tolerance)


def test_a_gradient_in_several_parts(monkeypatch):
    # Three rows of two images, six pixels each, 5 channels padded to 8; the last part has one row.
    monkeypatch.setattr(cpu_products, "_CACHED", 3 * (2 * 6 * (8 + 3 * 8)))
    x, kernel = normal(2, 7, 6, 5), normal(3, 3, 5, 5, seed=1)

    assert_same_convolution(x, kernel, 1, (1, 1), 1)


@pytest.mark.parametrize(
    ("strides", "c_in", "c_out"), [(1, 40, 200), (1, 40, 48), (1, 5, 21), (2, 5, 40)]
)
def test_dilated_convolutions_of_images_much_larger_than_the_dilation(
    strides, c_in, c_out, monkeypatch
):
    monkeypatch.setattr(cpu_products, "_CACHED", 2**13)  # a few rows of the image at a time
    x, kernel = normal(1, 24, 21, c_in), normal(3, 3, c_in, c_out, seed=1)
    assert_same_convolution(x, kernel, strides, (2, 1), 2)


@pytest.mark.parametrize(("c_in", "dilation"), [(40, 1), (24, 4), (40, 4), (100, 4)])
def test_a_gradient_has_derivatives_in_both_modes(c_in, dilation):
    x, kernel = normal(1, 6, 5, c_in), normal(3, 3, c_in, 24, seed=1)

    def gradient(convolve):
        def loss(kernel):
            return jnp.sum(convolve(x, kernel, 1, (dilation, dilation), dilation) ** 2)

        return jax.jit(lambda v: jax.jvp(jax.grad(loss), (kernel,), (v,))[1])

    v = normal(*kernel.shape, seed=2)
    expected = np.asarray(gradient(convolve_by_xla)(v))
    np.testing.assert_allclose(
        gradient(cpu.convolve)(v), expected, atol=1e-5 * np.abs(expected).max()
    )


def test_devices_add_up_the_gradient_of_far_taps_once():
    program = program_of_the_gradient((4, 9, 8, 40), (3, 3, 40, 48), 1, (4, 4), 4)
    assert program.count(" all-reduce(") == 1
    assert " all-gather(" not in program


def test_devices_add_up_a_gradient_in_several_parts_once():
    program = program_of_the_gradient((4, 512, 64, 24), (3, 3, 24, 24), 1, (1, 1), 1)
    loop, entry = program.split("\nENTRY ")
    assert "while(" in entry
    assert entry.count(" all-reduce(") == 1
    assert " all-reduce(" not in loop


@pytest.mark.parametrize(
    ("shape", "factor", "c_out"),
    [((2, 5, 4, 21), 2, 21), ((1, 1, 3, 5), 2, 7), ((1, 3, 2, 5), 8, 3)],
)
def test_deconvolutions_and_their_gradients(shape, factor, c_out):
    def plain(x, kernel):
        pads = [(2 * factor - 1, 2 * factor - 1)] * 2
        return lax.conv_general_dilated(
            x, kernel, (1, 1), pads, lhs_dilation=(factor, factor), dimension_numbers=NHWC
        )

    def fast(x, kernel):
        return cpu.deconvolve(x, kernel, 0)

    kernel = normal(2 * factor, 2 * factor, shape[3], c_out, seed=1)
    assert_same(fast, plain, normal(*shape), kernel)


@pytest.mark.parametrize(
    ("shape", "window"),
    [
        ((2, 8, 7, 3), (3, 2, 1)),
        ((2, 8, 7, 3), (2, 2, 0)),
        ((2, 8, 7, 3), (3, 1, 1)),
        ((1, 1, 2, 5), (3, 2, 1)),
        ((1, 1, 2, 5), (3, 1, 1)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_max_pools_and_their_gradients(shape, window, dtype):
    size, strides, padding = window
    # Of few values, so that most windows have several maxima.
    x = jnp.round(normal(*shape, dtype=dtype))

    def plain(x):
        return nn.max_pool(x, (size, size), (strides, strides), [(padding, padding)] * 2)

    tolerance = 1e-5 if dtype == "float32" else 1e-2
    assert_same(lambda x: pooling.max_pool(x, *window), plain, x, tolerance=tolerance)


def test_a_max_pool_keeps_nan():
    x = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2].set(jnp.nan)
    nans = np.isnan(pooling.max_pool(x)[0, :, :, 0])
    np.testing.assert_array_equal(nans, [[0, 0, 0], [0, 1, 0], [0, 0, 0]])


def test_relu_and_its_gradient():
    x = jnp.array([-jnp.inf, -1.5, -0.0, 0.0, 2.5, jnp.inf])
    y, pull = jax.vjp(cpu.relu, x)
    np.testing.assert_array_equal(y, [0, 0, 0, 0, 2.5, jnp.inf])
    np.testing.assert_array_equal(pull(jnp.ones(6))[0], [0, 0, 0, 0, 1, 1])
    assert np.isnan(cpu.relu(jnp.nan))
    assert cpu.relu(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_residual_blocks_do_not_repeat_the_sums_before_them():
    """With a maximum as ReLU each of these blocks adds up all shortcuts before it once more."""
    depth = 12

    def network(x, kernels):
        for kernel in kernels:
            x = layers.relu(x + layers.convolve(x, kernel, 1, (0, 0), 1))
        return x

    x, kernels = normal(1, 8, 8, 16), normal(depth, 1, 1, 16, 16, seed=1)
    program = jax.jit(network).lower(x, list(kernels)).compile().as_text()
    assert program.count(" dot(") == depth
    sums = [line for line in program.splitlines() if re.search(r"= f32\[1,8,8,16\]\S* add\(", line)]
    assert len(sums) == depth
