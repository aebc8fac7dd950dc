"""Batch, layer and group normalisation."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from gcn_jax.models.layers.conv import Dtype, Initializer

#: What is added to a variance, as in torchvision.
EPSILON = 1e-5


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015), computed in float32 whatever `dtype` is.

    Under `jit` with a sharded batch the statistics are those of the whole batch, over all devices.
    It differs from `flax.linen.BatchNorm`, whose names and running averages it has, in what the
    backward pass needs: x alone, where that one keeps `x - mean` too, another array of this size.

    Parameters: `scale`, `bias` `[C]`; batch_stats: `mean`, `var` `[C]`, float32.

    Attributes:
        use_running_average: Whether `batch_stats` normalise, and not the batch, which then moves
            these averages.
        momentum: What is kept of the averages in each step. It and `epsilon` are torchvision's.
        epsilon: A small number that is added to the variance.
        scale_init: Initialiser of the scale.
        dtype: The output's.
    """

    use_running_average: bool
    momentum: float = 0.9
    epsilon: float = EPSILON
    scale_init: Initializer = nn.initializers.ones
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `[N, H, W, C]` along all axes but the last."""
        channels = (x.shape[-1],)
        scale = self.param("scale", self.scale_init, channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, channels, jnp.float32)
        averages = (
            self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32),
            self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32),
        )
        x = x.astype(jnp.float32)
        if self.use_running_average:
            mean, var = (average.value for average in averages)
        else:
            mean = x.mean((0, 1, 2))
            # Not jnp.square, whose gradient would keep 2 x beside x.
            var = jnp.maximum((x * x).mean((0, 1, 2)) - mean * mean, 0)
            if not self.is_initializing():
                for average, new in zip(averages, (mean, var), strict=True):
                    average.value = self.momentum * average.value + (1 - self.momentum) * new
        factor = scale * lax.rsqrt(var + self.epsilon)
        shift = bias - mean * factor
        return (x * factor[None, None, None] + shift[None, None, None]).astype(self.dtype)


class LayerNorm(nn.Module):
    """Layer normalisation (Ba et al. 2016) of each pixel, computed in float32.

    Parameters: `scale`, `bias` `[C]`, float32.

    Attributes:
        epsilon: A small number that is added to the variance.
        dtype: The output's.
    """

    epsilon: float = 1e-6
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `[..., C]` along the last axis."""
        channels = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, channels, jnp.float32)
        x = x.astype(jnp.float32)
        x = x - x.mean(-1, keepdims=True)
        x = x * lax.rsqrt((x * x).mean(-1, keepdims=True) + self.epsilon)
        ones = (1,) * (x.ndim - 1)
        return (x * scale.reshape(*ones, -1) + bias.reshape(*ones, -1)).astype(self.dtype)


class GroupNorm(nn.Module):
    """Group normalisation (Wu and He 2018) of each example, computed in float32.

    Parameters: `scale`, `bias` `[C]`, float32.

    Attributes:
        groups: In how many groups channels are normalised together; it divides their number.
        epsilon: A small number that is added to the variance.
        dtype: The output's.
    """

    groups: int = 32
    epsilon: float = EPSILON
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `[N, H, W, C]` along H, W and the channels of each group."""
        channels = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, channels, jnp.float32)
        y = x.astype(jnp.float32).reshape(*x.shape[:3], self.groups, -1)
        y = y - y.mean((1, 2, 4), keepdims=True)
        y = y * lax.rsqrt((y * y).mean((1, 2, 4), keepdims=True) + self.epsilon)
        y = y.reshape(x.shape) * scale[None, None, None] + bias[None, None, None]
        return y.astype(self.dtype)
