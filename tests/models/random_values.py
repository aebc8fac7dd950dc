"""Values of a fixed generator, for inputs and parameters."""

import jax
import numpy as np
from flax import traverse_util


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def random_params(module, x):
    """Return normal values, also where the initialiser gives zeros, for every parameter."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    flat = traverse_util.flatten_dict(shapes)
    values = {
        path: 0.3 * normal(*leaf.shape, seed=i) for i, (path, leaf) in enumerate(flat.items())
    }
    return traverse_util.unflatten_dict(values)
