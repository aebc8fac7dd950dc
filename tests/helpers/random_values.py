"""Values of a fixed generator, for inputs and parameters."""

import functools

import jax
import numpy as np
from flax import traverse_util

from gcn_jax.models.network import variable_shapes


def normal(*shape, seed=0):
    """Return seeded normal values, float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def random_params(module, x):
    """Return normal values, also where the initialiser gives zeros, for every parameter."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    flat = traverse_util.flatten_dict(shapes)
    values = {
        path: 0.3 * normal(*leaf.shape, seed=i) for i, (path, leaf) in enumerate(flat.items())
    }
    return traverse_util.unflatten_dict(values)


def random_variables(model):
    """Return values of every variable that keep activations near one, and positive variances."""
    values = {}
    for seed, (path, shape) in enumerate(_shapes(model).items()):
        noise = normal(*shape, seed=seed)
        if path[-1] == "kernel":
            values[path] = noise * np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        else:
            values[path] = 0.1 * noise + (path[-1] in ("scale", "var"))
    return traverse_util.unflatten_dict(values)


@functools.cache
def _shapes(model):
    """Trace a model once, however many tests want its variables."""
    leaves = traverse_util.flatten_dict(variable_shapes(model))
    return {path: leaf.shape for path, leaf in leaves.items()}
