"""DeepLabV3 (Chen et al. 2017, arXiv:1706.05587), as torchvision has it.

Atrous spatial pyramid pooling over features of stride 8 with dilated res4 and res5: the rates of
the paper's section 3.3, doubled for that stride. Unlike the paper's, torchvision's res5 has no
dilations that differ within a stage (multi-grid); it has another 3 x 3 convolution before the
scores, and an auxiliary classifier on res4.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.backbones.registry import BackboneNetwork
from gcn_jax.models.layers import Dtype, resize_bilinear, size_of
from gcn_jax.models.layers.blocks import ConvNormReLU, ScoreHead
from gcn_jax.models.layers.pooling import adaptive_avg_pool

#: Dilations of the branches.
RATES = (12, 24, 36)

#: Weight of the loss of the auxiliary classifier on res4.
AUXILIARY_WEIGHT = 0.5

#: Shares of features that are zeroed in training: behind the pyramid, and before the scores of the
#: auxiliary classifier.
PYRAMID_DROPOUT, AUXILIARY_DROPOUT = 0.5, 0.1


class AtrousPyramidPooling(nn.Module):
    """Atrous spatial pyramid pooling: convolutions of several dilations and the image's mean.

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
        layer = partial(
            ConvNormReLU,
            self.features,
            frozen_batch_norm=self.frozen_batch_norm,
            dtype=self.dtype,
        )
        branches = [layer((1, 1), name="point")(x, train=train)]
        for rate in RATES:
            branches.append(layer((3, 3), dilation=rate, name=f"rate{rate}")(x, train=train))
        mean = layer((1, 1), name="image")(adaptive_avg_pool(x, 1), train=train)
        branches.append(jnp.broadcast_to(mean, branches[0].shape))
        x = layer((1, 1), name="project")(jnp.concatenate(branches, axis=-1), train=train)
        return nn.Dropout(PYRAMID_DROPOUT, deterministic=not train)(x)


class DeepLabV3(BackboneNetwork):
    """DeepLabV3: an atrous pyramid, a classifier, and interpolation of its scores.

    Example:
        >>> model = DeepLabV3(num_classes=21, backbone="resnet50_torchvision")
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W

    Training needs the random key "dropout". The mean of the image is normalised over the batch
    alone: with batches of one or two, freeze batch-norm.

    Attributes:
        backbone: One of `list_backbones(dilated=True)`. torchvision's are "resnet50_torchvision"
            and "resnet101_torchvision".
        features: Number of channels of the pyramid's branches.
        auxiliary: Whether there is another classifier, on res4, whose loss training adds with
            weight `AUXILIARY_WEIGHT`. Prediction does not compute it.
    """

    backbone: str = "resnet101_torchvision"
    features: int = 256
    auxiliary: bool = True

    on_dilated: ClassVar[bool] = True

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score the pyramid at every eighth pixel, and interpolate."""
        features = self.make_backbone()(images, train=train)
        options: dict[str, Any] = {"frozen_batch_norm": self.frozen_batch_norm, "dtype": self.dtype}

        def classify(x: jax.Array, width: int, dropout: float, name: str) -> jax.Array:
            head = ScoreHead(width, self.num_classes, dropout, **options, name=name)
            return resize_bilinear(head(x, train=train), size_of(images))

        if self.auxiliary and (train or self.is_initializing()):
            res4 = features["res4"]
            logits = classify(res4, res4.shape[-1] // 4, AUXILIARY_DROPOUT, "auxiliary_head")
            if train:
                self.sow_auxiliary("res4", logits, weight=AUXILIARY_WEIGHT)
        pyramid = AtrousPyramidPooling(self.features, **options, name="aspp")
        return classify(pyramid(features["res5"], train=train), self.features, 0.0, "head")


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "deeplabv3_resnet18": {"backbone": "resnet18"},
    "deeplabv3_resnet50": {"backbone": "resnet50_torchvision"},
    "deeplabv3_resnet101": {"backbone": "resnet101_torchvision"},
    "deeplabv3_plain4": {"backbone": "plain4"},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("deeplabv3_plain4", {"features": 16})
