"""The first kernel of a backbone for images of other than three channels, from that for RGB.

One channel gets the sum over the three, so that a grey image gives what it gives as equal red,
green and blue. More get them in turn, red, green, blue, red, ..., times 3 over their number, which
keeps the size of what comes out. It is the rule of timm's `adapt_input_conv`.
"""

from typing import Any

import jax.numpy as jnp
from flax import traverse_util

from gcn_jax.errors import UserError


def with_channels(variables: dict[str, Any], channels: int) -> dict[str, Any]:
    """Return a backbone's variables for images of so many channels.

    Args:
        variables: Its variables for RGB. Its first kernel, `[kh, kw, 3, out]`, is the only one of
            three inputs; it may have been left out.
        channels: How many channels images have.

    Raises:
        UserError: There are several such kernels.
    """
    if channels == 3:
        return variables
    leaves = traverse_util.flatten_dict(variables)
    first = [path for path, leaf in leaves.items() if leaf.ndim == 4 and leaf.shape[2] == 3]
    if len(first) > 1:
        raise UserError(f"{len(first)} kernels have three inputs; which is the first one?")
    for path in first:
        leaves[path] = adapt(leaves[path], channels)
    return traverse_util.unflatten_dict(leaves)


def adapt(kernel: Any, channels: int) -> Any:
    """Return a kernel for so many channels.

    Args:
        kernel: float `[kh, kw, 3, out]`, for RGB.
        channels: C.

    Returns:
        float `[kh, kw, C, out]`.
    """
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    return jnp.take(kernel, jnp.arange(channels) % 3, axis=2) * (3 / channels)


def told(channels: int) -> str:
    """Return what is done, as a line about the start of a run goes on; "" for RGB.

    Args:
        channels: How many channels images have.
    """
    if channels == 3:
        return ""
    if channels == 1:
        return ", its first kernel summed over RGB for 1 channel"
    return f", its first kernel repeated from RGB's for {channels} channels, times 3/{channels}"
