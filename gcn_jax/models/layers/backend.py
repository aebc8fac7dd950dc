"""The choice of formulation: the same operations, in the words that a device computes fastest.

On a CPU some primitives are computed in other words than XLA's own (`layers/cpu/`).
"""

import contextlib
import contextvars
from collections.abc import Iterator

import jax
from flax import linen as nn

from gcn_jax.models.layers.cpu import convolution as cpu

_everywhere_plain = contextvars.ContextVar("everywhere_plain", default=False)


def computes_on_cpu() -> bool:
    """Return whether primitives are computed as XLA on CPUs does it best (`cpu.py`).

    Other devices get the plain formulation, which their compilers know: cuDNN has its own.
    """
    return jax.default_backend() == "cpu" and not _everywhere_plain.get()


@contextlib.contextmanager
def plain_formulation() -> Iterator[None]:
    """Trace the plain formulation inside, on a CPU too: what is counted is then the network's."""
    token = _everywhere_plain.set(True)
    try:
        yield
    finally:
        _everywhere_plain.reset(token)


def relu(x: jax.Array) -> jax.Array:
    """Return the larger of x and 0, of x's shape and dtype; the gradient at 0 is 0.

    Networks use this one: `flax.linen.relu` slows residual networks down on CPUs (`cpu.relu`).
    """
    return cpu.relu(x) if computes_on_cpu() else nn.relu(x)  # noqa: TID251
