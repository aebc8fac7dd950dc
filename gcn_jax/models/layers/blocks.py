"""Blocks of layers that several networks have."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.layers.activation import relu
from gcn_jax.models.layers.conv import Conv, Dtype
from gcn_jax.models.layers.norm import BatchNorm


class ConvNormReLU(nn.Module):
    """A convolution without bias, batch-norm and a ReLU.

    Attributes:
        features: Number of output channels.
        kernel_size: Height and width of the kernel.
        frozen_batch_norm: Batch-norm uses the running statistics, even in training.
        dtype: The precision of the computation and of the output; parameters and statistics are
            float32.
    """

    features: int
    kernel_size: tuple[int, int]
    frozen_batch_norm: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, H, W, features]`."""
        x = Conv(self.features, self.kernel_size, use_bias=False, dtype=self.dtype, name="conv")(x)
        running = not train or self.frozen_batch_norm
        return relu(BatchNorm(use_running_average=running, dtype=self.dtype, name="bn")(x))
