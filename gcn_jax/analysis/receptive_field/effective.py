"""The effective receptive field: how strongly each pixel of an image moves one score.

Luo et al., *Understanding the Effective Receptive Field in Deep Convolutional Neural Networks*,
NeurIPS 2016: the derivative of a unit's value with respect to the input pixels, averaged over
images. It falls off from the centre like a Gaussian, and fills only a part of the theoretical
field.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gcn_jax.analysis.receptive_field.units import Unit, check_unit
from gcn_jax.models.preprocessing import normalize


def effective_field(
    model: nn.Module, variables: dict[str, Any], images: np.ndarray, units: Sequence[Unit]
) -> np.ndarray:
    """Compute |d logit / d pixel| of one unit in each image.

    Args:
        model: A segmentation network of this package.
        variables: The variables of `from_pretrained`, with `preprocessing`.
        images: uint8 or uint16 `[N, H, W, C]`, as the network takes them.
        units: N units, one for each image.

    Returns:
        float32 `[N, H, W]`: the sum over the channels of the absolute derivative with
            respect to the normalised image.

    Raises:
        UserError: A unit is not in its image, or has no class of the model.
    """
    for unit in units:
        check_unit(unit, images.shape[1:3], model.num_classes)
    rows, columns, classes = (jnp.asarray(part) for part in zip(*units, strict=True))
    return np.asarray(_gradients(model, variables, jnp.asarray(images), rows, columns, classes))


@functools.partial(jax.jit, static_argnames="model")
def _gradients(model, variables, images, rows, columns, classes):
    mean, std = variables["preprocessing"]["mean"], variables["preprocessing"]["std"]

    def total(pixels):
        logits = model.apply(variables, pixels)
        # Images do not depend on each other: the gradient of the sum is that of each.
        return logits[jnp.arange(len(images)), rows, columns, classes].sum()

    gradients = jax.grad(total)(normalize(images, mean, std))
    return jnp.abs(gradients).sum(axis=-1)
