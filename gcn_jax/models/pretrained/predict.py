"""The segmentation of one image by a trained model."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.models.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    mean_color,
    normalize,
    stack_padded,
)


def predict(model: nn.Module, variables: dict[str, Any], image: np.ndarray) -> np.ndarray:
    """Segment one image, as it is in the file: nothing to normalise or resize.

    The image is padded to one of a few sizes, so that few sizes compile anew. For several scales,
    flips, windows or many images there is `gcn_jax.inference.Predictor`.

    Args:
        model: A model of this package.
        variables: Its variables; with those of `from_pretrained` the image is prepared as in
            training, with others by ImageNet's mean and standard deviation.
        image: uint8 `[H, W, 3]` RGB, or of as many channels as the model's images have; these may
            be uint16, whose 0..65535 stands for 0..255 in finer steps.

    Returns:
        int32 `[H, W]`, the class of each pixel.

    Raises:
        UserError: The image is none of these, or nothing says how its channels are
            normalised.
    """
    image = np.asarray(image)
    channels = getattr(model, "in_channels", 3)
    is_rgb = channels == 3
    kinds = ("uint8",) if is_rgb else ("uint8", "uint16")
    if image.dtype.name not in kinds or image.ndim != 3 or image.shape[2] != channels:
        wanted = f"{' or '.join(kinds)} [H, W, {channels}]" + " RGB" * is_rgb
        raise UserError(f"the image is {image.dtype} {image.shape}; it must be {wanted}")
    preprocessing = variables.get("preprocessing", {"mean": IMAGENET_MEAN, "std": IMAGENET_STD})
    mean, std = (np.asarray(preprocessing[key], np.float32) for key in ("mean", "std"))
    if len(mean) != channels:
        raise UserError(
            f"the variables have no preprocessing of {channels} channels; those of "
            "`from_pretrained` have it"
        )
    padded = stack_padded([image], 1, mean_color(mean.tolist(), image.dtype))
    prediction = np.asarray(class_maps(model, variables, padded, mean, std))[0]
    return prediction[: image.shape[0], : image.shape[1]]


def logits(
    model: nn.Module, variables: Any, images: jax.Array, mean: jax.Array, std: jax.Array
) -> jax.Array:
    """Normalise images and run the model on them; pure and jit-able (`model` is static).

    Args:
        model: A module of `gcn_jax.models`, or any with the same call.
        variables: Its variables.
        images: uint8 or uint16 `[N, H, W, 3]`.
        mean: float32 `[3]`, in 0..255.
        std: float32 `[3]`, in 0..255.

    Returns:
        float32 `[N, H, W, C]`.
    """
    result: Any = model.apply(variables, normalize(images, mean, std), train=False)
    return result


@functools.partial(jax.jit, static_argnames="model")
def class_maps(
    model: nn.Module, variables: Any, images: jax.Array, mean: jax.Array, std: jax.Array
) -> jax.Array:
    """Return the most likely class of each pixel.

    Compiled once for each model and shape of images, whatever the variables.

    Args:
        model: A module of `gcn_jax.models`, or any with the same call.
        variables: Its variables.
        images: uint8 or uint16 `[N, H, W, 3]`.
        mean: float32 `[3]`, in 0..255.
        std: float32 `[3]`, in 0..255.

    Returns:
        int32 `[N, H, W]`.
    """
    return jnp.argmax(logits(model, variables, images, mean, std), axis=-1).astype(jnp.int32)
