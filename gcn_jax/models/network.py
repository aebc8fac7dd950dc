"""What all networks share: checks of images, auxiliary logits, the shapes of variables."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import UserError

#: The collection of `sow_auxiliary`: name -> (weight, logits).
AUXILIARY = "auxiliary"


def check_images(images: jax.Array) -> None:
    """Raise `UserError` unless images are a batch of floats."""
    if images.ndim != 4 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(
            f"images are {images.dtype}{list(images.shape)}, but must be normalised floats "
            "[N, H, W, 3]; `gcn_jax.models.predict` takes one uint8 image as it is"
        )


def sow_auxiliary(module: nn.Module, name: str, logits: jax.Array, weight: float) -> None:
    """Hand logits to the training step besides those that a network returns.

    The step adds `weight` times their objective to the loss. They are of use in training only, and
    so are the layers that make them: a network has these `if train or self.is_initializing()`.

    Args:
        module: The network.
        name: Of the logits.
        logits: float32, for the labels of the network's own logits in training, or for those of
            every s-th pixel where the network has `auxiliary_strides`, name -> s, of all names.
        weight: Of their objective in the sum.
    """
    module.sow(AUXILIARY, name, (weight, logits), reduce_fn=lambda _, new: new)


def variable_shapes(model: nn.Module) -> Any:
    """The shapes and dtypes of a model's variables, without making them."""
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)
