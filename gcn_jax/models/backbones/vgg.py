"""The layers of VGG-16 (Simonyan and Zisserman, ICLR 2015, configuration D), for dense prediction.

FCN, SegNet and DeepLab-LargeFOV pool them each in its own way: their backbones derive from `VGG16`
and so share the names of layers, and with them the importer of ImageNet's weights
(`gcn_jax.weights.vgg`).
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.layers import BatchNorm, Conv, Dtype, relu

#: Number of 3 x 3 convolutions in each of the five stages, and their channels.
STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


class ConvStack(nn.Module):
    """3 x 3 convolutions in a row, each followed by batch-norm, if there is one, and ReLU.

    Attributes:
        channels: The channels of every convolution.
        first_padding: Zeros on either side before the first one; None keeps the size.
        dilation: Step between kernel taps.
        norm: Constructor of batch-norms, or None.
        dtype: The precision of the computation and of the output; parameters are float32.
    """

    channels: tuple[int, ...]
    first_padding: int | None = None
    dilation: int = 1
    norm: Callable[..., nn.Module] | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, H', W', channels[-1]]`; by default, the size stays."""
        conv = partial(Conv, kernel_size=(3, 3), dilation=self.dilation, dtype=self.dtype)
        for i, channels in enumerate(self.channels, start=1):
            padding = None
            if i == 1 and self.first_padding is not None:
                padding = (self.first_padding, self.first_padding)
            x = conv(channels, padding=padding, name=f"conv{i}")(x)
            if self.norm is not None:
                x = self.norm(name=f"bn{i}")(x)
            x = relu(x)
        return x


class VGG16(nn.Module):
    """The base of the backbones on VGG-16: layers, which each of them lays out.

    Attributes:
        width: Factor of all channels; 1 is VGG-16, less is for studies that train from scratch.
        batch_norm: Whether every 3 x 3 convolution is followed by one (torchvision's `vgg16_bn`).
        frozen_batch_norm: Batch-norm uses the running statistics, even in training.
        dtype: The precision of the computation and of the features; parameters and statistics are
            float32.
        remat: Whether what a stage computes inside is computed again for its gradient.
    """

    width: float = 1.0
    batch_norm: bool = False
    frozen_batch_norm: bool = False
    dtype: Dtype = jnp.float32
    remat: bool = False

    def stage(self, x: jax.Array, number: int, *, train: bool, **settings) -> jax.Array:
        """Apply the convolutions of stage 1 to 5, named "stage1" to "stage5", without its pooling.

        Args:
            x: `[N, H, W, C]`.
            number: The number of the stage, from 1.
            train: Whether this is training (batch-norm).
            **settings: `first_padding` and `dilation` of a `ConvStack`.
        """
        count, channels = STAGES[number - 1]
        stack = nn.remat(ConvStack) if self.remat else ConvStack
        return stack(
            count * (scaled(channels, self.width),),
            norm=batch_norm(self, train) if self.batch_norm else None,
            dtype=self.dtype,
            name=f"stage{number}",
            **settings,
        )(x)

    def fully_connected(self, x: jax.Array, channels: int, *, train: bool, **settings) -> jax.Array:
        """Apply the first two of VGG-16's dense layers, fc6 and fc7, as convolutions.

        Each is followed by ReLU and, in training, dropout of one half.

        Args:
            x: `[N, H, W, C]`.
            channels: The channels of both, before they are scaled by `width`.
            train: Whether this is training.
            **settings: `kernel_size`, `padding` and `dilation` of fc6; fc7 is a 1 x 1 convolution.
        """
        conv = partial(Conv, scaled(channels, self.width), dtype=self.dtype)
        dropout = nn.Dropout(0.5, deterministic=not train)
        x = dropout(relu(conv(name="fc6", **settings)(x)))
        return dropout(relu(conv(kernel_size=(1, 1), name="fc7")(x)))


def scaled(channels: int, width: float) -> int:
    """Return `width` times as many channels, at least one.

    Args:
        channels: Their number in VGG-16.
        width: The factor.
    """
    return max(1, round(width * channels))


def published_weights(batch_norm: bool) -> str:
    """Return the architecture whose published weights fit, by timm's name."""
    return "vgg16_bn" if batch_norm else "vgg16"


def batch_norm(network: nn.Module, train: bool) -> Callable[..., nn.Module]:
    """Return the constructor of the batch-norms of a network.

    Args:
        network: A module with the fields `frozen_batch_norm` and `dtype`.
        train: Whether it is trained.
    """
    return partial(
        BatchNorm,
        use_running_average=not train or network.frozen_batch_norm,
        dtype=network.dtype,
    )
