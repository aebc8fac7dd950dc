"""From the bytes of an image to what a network is fed."""

import jax
import jax.numpy as jnp

#: Mean and standard deviation of ImageNet's images, (red, green, blue) in 0..255: the constants of
#: torchvision's models, times 255.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


def normalize(images: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """Subtract the mean and divide by the standard deviation.

    Args:
        images: `[..., 3]` RGB in 0..255, uint8 or float.
        mean: float `[3]`, in 0..255.
        std: float `[3]`, in 0..255; ones for the paper's plain mean subtraction.

    Returns:
        float32 `[..., 3]`.
    """
    shape = (1,) * (images.ndim - 1) + (3,)
    mean, std = jnp.reshape(jnp.asarray(mean), shape), jnp.reshape(jnp.asarray(std), shape)
    return (images.astype(jnp.float32) - mean) / std
