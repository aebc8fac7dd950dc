"""The primitives as XLA computes them fastest on CPUs; `layers/backend.py` alone uses them."""

from gcn_jax.models.layers.cpu.convolution import convolve, deconvolve, relu
from gcn_jax.models.layers.cpu.products import multiply
from gcn_jax.models.layers.plain import max_pool_by_slices as max_pool

__all__ = ["convolve", "deconvolve", "max_pool", "multiply", "relu"]
