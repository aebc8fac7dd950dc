"""Depthwise convolutions in the words of a CPU, against XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.models.layers.cpu import convolution as cpu
from tests.helpers.convolutions import (
    assert_same_convolution,
    convolve_by_xla,
    normal,
    program_of_the_gradient,
)


@pytest.mark.parametrize(
    ("kernel_size", "padding", "dilation"),
    [
        ((7, 7), (3, 3), 1),
        ((3, 3), (1, 1), 1),
        ((3, 5), (0, 3), 1),
        ((2, 3), (2, 0), 2),
        ((3, 3), (6, 6), 6),  # as far as the image is long
        ((1, 3), (0, 4), 1),  # more padding than the kernel reaches
        ((9, 1), (4, 0), 1),  # longer than the image
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_depthwise_convolutions_and_their_gradients(kernel_size, padding, dilation, dtype):
    x = normal(2, 7, 6, 10, dtype=dtype)
    kernel = normal(*kernel_size, 1, 10, seed=1, dtype=dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-2
    assert_same_convolution(x, kernel, 1, padding, dilation, tolerance=tolerance)


@pytest.mark.parametrize(
    ("strides", "c_in", "c_out"),
    [(2, 1, 10), (1, 1, 20), (1, 2, 10)],  # strided, two outputs a channel, pairs of channels
)
def test_other_groups_are_left_to_xla(strides, c_in, c_out):
    x, kernel = normal(2, 7, 6, 10), normal(3, 3, c_in, c_out, seed=1)
    assert_same_convolution(x, kernel, strides, (1, 1), 1)


def test_xla_gets_no_depthwise_convolution_to_compute():
    x, kernel = jnp.ones((1, 7, 6, 10)), jnp.ones((3, 3, 1, 10))

    def loss(x, kernel):
        return jnp.sum(cpu.convolve(x, kernel, 1, (1, 1), 1) ** 2)

    assert "conv_general_dilated" not in str(jax.make_jaxpr(jax.grad(loss, (0, 1)))(x, kernel))


def test_a_gradient_has_derivatives_in_both_modes():
    x, kernel = normal(1, 6, 5, 4), normal(3, 3, 1, 4, seed=1)
    along = normal(*kernel.shape, seed=2)

    def second_derivative(convolve):
        def loss(kernel):
            return jnp.sum(convolve(x, kernel, 1, (1, 1), 1) ** 2)

        return jax.jit(lambda v: jax.jvp(jax.grad(loss), (kernel,), (v,))[1])(along)

    expected = np.asarray(second_derivative(convolve_by_xla))
    np.testing.assert_allclose(
        second_derivative(cpu.convolve), expected, atol=1e-5 * np.abs(expected).max()
    )


def test_devices_add_up_the_gradient_of_the_kernel_once():
    program = program_of_the_gradient((4, 9, 8, 16), (7, 7, 1, 16), 1, (3, 3), 1)
    loop, entry = program.split("\nENTRY ")
    assert "while(" in program
    assert entry.count(" all-reduce(") == 1
    assert " all-reduce(" not in loop
    assert " all-gather(" not in program
