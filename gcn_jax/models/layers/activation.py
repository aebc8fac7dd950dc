"""Activations."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from gcn_jax.models.layers.backend import formulation


def relu(x: jax.Array) -> jax.Array:
    """Return the larger of x and 0, of x's shape and dtype; the gradient at 0 is 0.

    Networks use this one: `flax.linen.relu` slows residual networks down on CPUs.
    """
    return formulation(x).relu(x)


def gelu(x: jax.Array) -> jax.Array:
    """Return x times the normal distribution's share below x, of x's shape and dtype.

    It is the exact form (Hendrycks and Gimpel 2016), not that of the hyperbolic tangent, which
    differs by up to 5e-4; computed in float32.
    """
    share = 0.5 * (1 + lax.erf(x.astype(jnp.float32) * math.sqrt(0.5)))
    return (x * share).astype(x.dtype)
