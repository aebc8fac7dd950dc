"""The primitives as XLA computes them fastest on CPUs; `layers/backend.py` alone uses them."""

from gcn_jax.models.layers.cpu.convolution import convolve, deconvolve, max_pool, relu
from gcn_jax.models.layers.cpu.products import multiply

__all__ = ["convolve", "deconvolve", "max_pool", "multiply", "relu"]
