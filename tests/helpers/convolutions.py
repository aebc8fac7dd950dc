"""Convolutions in the words of a CPU beside XLA's own: values, gradients, programs."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gcn_jax.models.layers.cpu import convolution as cpu

NHWC = ("NHWC", "HWIO", "NHWC")


def normal(*shape, seed=0, dtype="float32"):
    """Return seeded normal values."""
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def convolve_by_xla(x, kernel, strides, padding, dilation):
    """Convolve by XLA, with the arguments of `cpu.convolve`."""
    return lax.conv_general_dilated(
        x,
        kernel,
        (strides,) * 2,
        [(p, p) for p in padding],
        rhs_dilation=(dilation,) * 2,
        dimension_numbers=NHWC,
        feature_group_count=x.shape[3] // kernel.shape[2],
    )


def assert_same_convolution(x, kernel, *how, tolerance=1e-5):
    """Compare ours with XLA's; `how` is what follows x and the kernel."""
    assert_same(
        lambda x, kernel: cpu.convolve(x, kernel, *how),
        lambda x, kernel: convolve_by_xla(x, kernel, *how),
        x,
        kernel,
        tolerance=tolerance,
    )


def program_of_the_gradient(x_shape, kernel_shape, *how):
    """Compile the gradient of a kernel for four devices with an image or more each."""
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["data"], []))
    x = jax.ShapeDtypeStruct(x_shape, "float32", sharding=split)
    kernel = jax.ShapeDtypeStruct(kernel_shape, "float32", sharding=whole)

    def loss(kernel, x):
        return jnp.sum(cpu.convolve(x, kernel, *how) ** 2)

    return jax.jit(jax.grad(loss), out_shardings=whole).lower(kernel, x).compile().as_text()


def value_and_gradients(function, *args):
    """Return the output, and the gradients for a cotangent that differs everywhere."""

    @jax.jit
    def run(*args):
        y, pull = jax.vjp(function, *args)
        return y, *pull(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    return run(*args)


def assert_same(fast, plain, *args, tolerance=1e-5):
    """Compare outputs and gradients, each by its largest value."""
    for a, b in zip(*(value_and_gradients(f, *args) for f in (fast, plain)), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
        np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max())
