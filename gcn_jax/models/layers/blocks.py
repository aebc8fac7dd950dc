"""Blocks of layers that several networks have."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.layers.activation import relu
from gcn_jax.models.layers.conv import Conv, Dtype, lecun_normal
from gcn_jax.models.layers.norm import BatchNorm


class ConvNormReLU(nn.Module):
    """A convolution without bias, batch-norm and a ReLU.

    Attributes:
        features: Number of output channels.
        kernel_size: Height and width of the kernel.
        dilation: Step between kernel taps, for both axes.
        frozen_batch_norm: Batch-norm uses the running statistics, even in training.
        dtype: The precision of the computation and of the output; parameters and statistics are
            float32.
    """

    features: int
    kernel_size: tuple[int, int]
    dilation: int = 1
    frozen_batch_norm: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, H, W, features]`."""
        x = Conv(
            self.features,
            self.kernel_size,
            dilation=self.dilation,
            use_bias=False,
            dtype=self.dtype,
            name="conv",
        )(x)
        running = not train or self.frozen_batch_norm
        return relu(BatchNorm(use_running_average=running, dtype=self.dtype, name="bn")(x))


class ScoreHead(nn.Module):
    """A 3 x 3 convolution with batch-norm and ReLU, dropout, and a 1 x 1 convolution to scores.

    Attributes:
        features: Number of channels between the convolutions.
        num_classes: Number of output channels.
        dropout: Share of features that are zeroed before the scores, in training.
        frozen_batch_norm: Batch-norm uses the running statistics, even in training.
        dtype: The precision of the computation; parameters, statistics and scores are float32.
    """

    features: int
    num_classes: int
    dropout: float
    frozen_batch_norm: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map `[N, H, W, C]` to scores, float32 `[N, H, W, num_classes]`."""
        x = ConvNormReLU(
            self.features,
            (3, 3),
            frozen_batch_norm=self.frozen_batch_norm,
            dtype=self.dtype,
            name="reduce",
        )(x, train=train)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        scores = Conv(
            self.num_classes, (1, 1), kernel_init=lecun_normal, dtype=self.dtype, name="score"
        )(x)
        return scores.astype(jnp.float32)
