"""Activations."""

import jax

from gcn_jax.models.layers.backend import formulation


def relu(x: jax.Array) -> jax.Array:
    """Return the larger of x and 0, of x's shape and dtype; the gradient at 0 is 0.

    Networks use this one: `flax.linen.relu` slows residual networks down on CPUs.
    """
    return formulation(x).relu(x)
