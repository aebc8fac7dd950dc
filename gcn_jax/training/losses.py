"""Losses over the pixels that have a label; void pixels count nowhere."""

import jax
import jax.numpy as jnp
import optax

from gcn_jax import IGNORE_LABEL


def valid_pixels(labels: jax.Array) -> jax.Array:
    """Count the pixels that are not void.

    Args:
        labels: int or uint8, any shape; 255 is void.

    Returns:
        int32 `[]`.
    """
    return jnp.sum(labels != IGNORE_LABEL, dtype=jnp.int32)


def cross_entropy_sum(*, logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Sum the cross-entropy of all pixels that are not void.

    A sum, so that parts of a batch add up to the whole: divide by the `valid_pixels` of all.

    Args:
        logits: float `[..., C]`.
        labels: int or uint8 `[...]`: a class 0..C-1, or 255 for void.

    Returns:
        float32 `[]`, in nats; 0 where all is void.
    """
    valid = labels != IGNORE_LABEL
    targets = jnp.where(valid, labels, 0).astype(jnp.int32)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), targets)
    return jnp.sum(losses, where=valid)
