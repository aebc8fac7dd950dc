"""3 x 3 convolutions by minimal filtering, against XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.models.layers.cpu import convolution as cpu
from gcn_jax.models.layers.cpu import winograd as cpu_winograd
from tests.helpers.convolutions import (
    assert_same_convolution,
    normal,
    program_of_the_gradient,
)


@pytest.mark.parametrize(
    ("shape", "c_out", "padding", "dilation"),
    [
        ((2, 12, 12, 64), 128, (1, 1), 1),
        ((1, 17, 18, 128), 64, (1, 0), 1),  # tiles that reach beyond the image
        ((2, 9, 15, 64), 128, (2, 3), 1),  # padding that the gradient of x does not have
        ((1, 25, 23, 64), 128, (2, 4), 2),
        ((1, 31, 33, 64), 128, (0, 3), 3),
    ],
)
@pytest.mark.parametrize("in_band", [None, 1])
def test_convolutions_and_their_gradients(shape, c_out, padding, dilation, in_band, monkeypatch):
    if in_band:  # a row of tiles at a time, or as many as make up the kernel
        monkeypatch.setattr(cpu_winograd, "_AT_ONCE", in_band)
        monkeypatch.setattr(cpu_winograd, "_IN_BAND", in_band)
    x, kernel = normal(*shape), normal(3, 3, shape[3], c_out, seed=1)
    assert cpu_winograd.pays(x, kernel, padding, dilation)
    assert_same_convolution(x, kernel, 1, padding, dilation)


def test_its_rounding_is_that_of_the_sum_that_it_replaces():
    x, kernel = normal(2, 16, 16, 256), normal(3, 3, 256, 256, seed=1)
    with jax.enable_x64(True):
        exact = np.asarray(_plain(x.astype("float64"), kernel.astype("float64")))
    plain, ours = _plain(x, kernel), cpu_winograd.convolve(x, kernel, (1, 1), 1)
    errors = [np.sqrt(np.mean((np.asarray(y) - exact) ** 2)) for y in (ours, plain)]
    assert 0 < errors[0] < 3 * errors[1] < 1e-5 * exact.std()


def _plain(x, kernel):
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), [(1, 1)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@pytest.mark.parametrize(
    ("x", "kernel", "padding", "dilation"),
    [
        (jnp.ones((2, 32, 32, 64), "bfloat16"), jnp.ones((3, 3, 64, 128)), (1, 1), 1),
        (jnp.ones((2, 32, 32, 64)), jnp.ones((3, 3, 64, 64)), (1, 1), 1),  # few channels
        (jnp.ones((2, 32, 32, 128)), jnp.ones((3, 3, 128, 21)), (1, 1), 1),
        (jnp.ones((2, 8, 8, 128)), jnp.ones((3, 3, 128, 128)), (1, 1), 1),  # few tiles
        (jnp.ones((2, 32, 32, 64)), jnp.ones((5, 5, 64, 128)), (1, 1), 1),
        (jnp.ones((2, 32, 32, 64)), jnp.ones((3, 3, 64, 128)), (4, 4), 4),  # small phases
        (jnp.ones((2, 32, 32, 64)), jnp.ones((3, 3, 64, 128)), (2, 1), 2),  # a phase by half
        (jnp.ones((256, 1, 1, 64)), jnp.ones((3, 3, 64, 128)), (0, 0), 1),  # no output
    ],
)
def test_others_are_left_to_other_formulations(x, kernel, padding, dilation):
    assert not cpu_winograd.pays(x, kernel, padding, dilation)


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_gradient_has_derivatives_in_both_modes(dilation, monkeypatch):
    monkeypatch.setattr(cpu_winograd, "_AT_ONCE", 1)
    monkeypatch.setattr(cpu_winograd, "_IN_BAND", 1)
    x, kernel = normal(1, 24, 22, 64), normal(3, 3, 64, 128, seed=1)
    how = ((dilation, dilation), dilation)
    assert cpu_winograd.pays(x, kernel, *how)

    def gradient(kernel):
        return jax.grad(lambda kernel: jnp.sum(cpu.convolve(x, kernel, 1, *how) ** 2))(kernel)

    # The function is quadratic: its gradient is linear, and so it is its own derivative, and that
    # of its product with v.
    v = normal(*kernel.shape, seed=2)
    expected = gradient(v)
    forward = jax.jvp(gradient, (kernel,), (v,))[1]
    reverse = jax.grad(lambda kernel: jnp.vdot(gradient(kernel), v))(kernel)
    for change in (forward, reverse):
        np.testing.assert_allclose(change, expected, atol=1e-5 * np.abs(expected).max())


def test_devices_add_up_the_gradient_of_a_kernel_once(monkeypatch):
    monkeypatch.setattr(cpu_winograd, "_AT_ONCE", 1)
    monkeypatch.setattr(cpu_winograd, "_IN_BAND", 1)
    x, kernel, how = (4, 64, 16, 64), (3, 3, 64, 128), ((1, 1), 1)
    assert cpu_winograd.pays(jnp.ones(x), jnp.ones(kernel), *how)
    program = program_of_the_gradient(x, kernel, 1, *how)
    assert " all-gather(" not in program
    assert program.count(" all-reduce(") == 1
    loops, entry = program.split("\nENTRY ")
    assert "while(" in entry
    assert " all-reduce(" not in loops
