"""DeepLabV3+ (Chen et al., ECCV 2018), as segmentation_models.pytorch has it.

Atrous spatial pyramid pooling over features of stride 16, with separable convolutions, joined with
features of stride 4. The paper's backbone is an Xception; of its ResNet it is this form. Rates are
those of the paper's stride of 8 (12, 24, 36), and there is one layer between the features that are
joined and the scores, where the paper has two.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.backbones.registry import Backbone, BackboneNetwork
from gcn_jax.models.layers import (
    BatchNorm,
    Conv,
    Dtype,
    lecun_normal,
    relu,
    resize_bilinear,
    size_of,
)
from gcn_jax.models.layers.blocks import ConvNormReLU
from gcn_jax.models.layers.pooling import adaptive_avg_pool

#: Image pixels per feature of res5.
OUTPUT_STRIDE = 16

#: Dilations of the branches.
RATES = (12, 24, 36)

#: Number of channels to which the features of stride 4 are reduced.
FINE_FEATURES = 48

#: Share of features that are zeroed behind the pyramid, in training.
DROPOUT = 0.5


class SeparableConv(nn.Module):
    """A depthwise 3 x 3 convolution, one over channels, both without bias, batch-norm, ReLU.

    Attributes:
        features: Number of output channels.
        dilation: Step between the taps of the depthwise kernel.
        frozen_batch_norm: Batch-norm uses the running statistics, even in training.
        dtype: The precision of the computation and of the output; parameters and statistics are
            float32.
    """

    features: int
    dilation: int = 1
    frozen_batch_norm: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, H, W, features]`; beyond the border there are zeros."""
        channels = x.shape[-1]
        x = Conv(
            channels,
            (3, 3),
            dilation=self.dilation,
            groups=channels,
            use_bias=False,
            kernel_init=lecun_normal,
            dtype=self.dtype,
            name="depthwise",
        )(x)
        x = Conv(self.features, (1, 1), use_bias=False, dtype=self.dtype, name="conv")(x)
        running = not train or self.frozen_batch_norm
        return relu(BatchNorm(use_running_average=running, dtype=self.dtype, name="bn")(x))


class SeparablePyramidPooling(nn.Module):
    """Atrous spatial pyramid pooling by separable convolutions, and one more behind it.

    Attributes:
        features: Number of channels of every branch, and of the output.
        frozen_batch_norm: Batch-norm uses the running statistics, even in training.
        dtype: The precision of the computation and of the output; parameters and statistics are
            float32.
    """

    features: int
    frozen_batch_norm: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, H, W, features]`; beyond the border there are zeros."""
        options: dict[str, Any] = {"frozen_batch_norm": self.frozen_batch_norm, "dtype": self.dtype}
        layer = partial(ConvNormReLU, self.features, (1, 1), **options)
        separable = partial(SeparableConv, self.features, **options)
        branches = [layer(name="point")(x, train=train)]
        for rate in RATES:
            branches.append(separable(dilation=rate, name=f"rate{rate}")(x, train=train))
        mean = layer(name="image")(adaptive_avg_pool(x, 1), train=train)
        branches.append(jnp.broadcast_to(mean, branches[0].shape))
        x = layer(name="project")(jnp.concatenate(branches, axis=-1), train=train)
        x = nn.Dropout(DROPOUT, deterministic=not train)(x)
        return separable(name="smooth")(x, train=train)


class DeepLabV3Plus(BackboneNetwork):
    """DeepLabV3+: an atrous pyramid, joined with finer features, and interpolation of scores.

    Example:
        >>> model = DeepLabV3Plus(num_classes=21, backbone="resnet50")
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W

    Training needs the random key "dropout". The mean of the image is normalised over the batch
    alone: with batches of one or two, freeze batch-norm.

    Attributes:
        backbone: One of `list_backbones(dilated=True)`, which is dilated to a stride of 16.
        features: Number of channels of the pyramid's branches and of what is scored.
    """

    backbone: str = "resnet101"
    features: int = 256

    @nn.nowrap
    def form_of(self, backbone: Backbone) -> Callable[..., nn.Module] | None:
        """Return the constructor of the form on which the network stands; None if there is none."""
        return backbone.dilated.get(OUTPUT_STRIDE)

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score the pyramid beside res2, at its size, and interpolate."""
        features = self.make_backbone()(images, train=train)
        options: dict[str, Any] = {"frozen_batch_norm": self.frozen_batch_norm, "dtype": self.dtype}
        pyramid = SeparablePyramidPooling(self.features, **options, name="aspp")
        coarse = pyramid(features["res5"], train=train)
        fine = ConvNormReLU(FINE_FEATURES, (1, 1), **options, name="fine")(
            features["res2"], train=train
        )
        coarse = resize_bilinear(coarse, size_of(fine), align_corners=True)
        x = jnp.concatenate([coarse, fine], axis=-1)
        x = SeparableConv(self.features, **options, name="join")(x, train=train)
        scores = Conv(
            self.num_classes, (1, 1), kernel_init=lecun_normal, dtype=self.dtype, name="score"
        )(x)
        return resize_bilinear(scores.astype(jnp.float32), size_of(images), align_corners=True)


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "deeplabv3plus_resnet18": {"backbone": "resnet18"},
    "deeplabv3plus_resnet34": {"backbone": "resnet34"},
    "deeplabv3plus_resnet50": {"backbone": "resnet50"},
    "deeplabv3plus_resnet101": {"backbone": "resnet101"},
    "deeplabv3plus_plain4": {"backbone": "plain4"},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("deeplabv3plus_plain4", {"features": 16})
