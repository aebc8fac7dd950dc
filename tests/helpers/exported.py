"""Models with random weights, to export, and what they say of images."""

import jax
import numpy as np

from gcn_jax.models import Pretrained
from tests.helpers.random_values import random_variables
from tests.helpers.runs import INFO


def pretrained(model):
    """Return a model with weights that none of its layers begins with."""
    preprocessing = {"mean": np.float32(INFO.mean), "std": np.float32((60, 50, 70))}
    return Pretrained(model, {**random_variables(model), "preprocessing": preprocessing}, INFO, 7)


def photos(*shape, seed=0):
    """Return seeded bytes, uint8 `[*shape, 3]`."""
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def logits_of(pretrained, images):
    """Return what a model says of images, normalised by hand."""
    mean, std = (np.asarray(pretrained.variables["preprocessing"][k]) for k in ("mean", "std"))
    variables = {k: v for k, v in pretrained.variables.items() if k != "preprocessing"}
    return np.asarray(jax.jit(pretrained.model.apply)(variables, (images - mean) / std))
