"""Attention."""

import jax


def attend(query: jax.Array, key: jax.Array, value: jax.Array, heads: int) -> jax.Array:
    """Let each pixel, or token, take a mean of values (Vaswani et al., NeurIPS 2017, section 3.2).

    In plain words: all `Q * K` weights of a head are there at once, in float32. At stride 4, whose
    maps have the most pixels, they are what an image needs most memory for.

    Args:
        query: `[N, ..., C]`, of Q pixels or tokens.
        key: `[N, ..., C]`, of K pixels or tokens.
        value: One of each, of the key's shape.
        heads: How many parts the channels make, each with weights of its own; a divisor of C.

    Returns:
        An array of the query's shape and dtype.
    """
    split = (
        x.reshape(x.shape[0], _count(x), heads, x.shape[-1] // heads) for x in (query, key, value)
    )
    return jax.nn.dot_product_attention(*split).reshape(query.shape)


def _count(x: jax.Array) -> int:
    """Return the number of pixels or tokens, which an export may leave open."""
    count = 1
    for size in x.shape[1:-1]:
        count *= size
    return count
