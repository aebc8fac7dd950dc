"""PSPNet (Zhao et al., CVPR 2017): pyramid pooling over the dilated features of a ResNet.

After the authors' Caffe model: a stem of three convolutions, features of stride 8 with dilated res4
and res5, and interpolation that keeps the corners where they are. The auxiliary classifier is that
of their PyTorch code (the paper gives its place and its weight).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.backbones.registry import BackboneNetwork
from gcn_jax.models.layers import Dtype, resize_bilinear, sample_bilinear, size_of
from gcn_jax.models.layers.blocks import ConvNormReLU, ScoreHead
from gcn_jax.models.layers.pooling import adaptive_avg_pool

#: The features are averaged over grids of 1 x 1 to 6 x 6 bins.
BINS = (1, 2, 3, 6)

#: Of the loss of the auxiliary classifier on res4.
AUXILIARY_WEIGHT = 0.4

#: Share of features that are zeroed before a classifier, in training.
DROPOUT = 0.1


class PyramidPooling(nn.Module):
    """The pyramid pooling module: the features, and beside them their means over coarser grids.

    Attributes:
        frozen_batch_norm: Batch-norm uses the running statistics, even in training.
        dtype: The precision of the computation and of the output; parameters and statistics are
            float32.
    """

    frozen_batch_norm: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, H, W, 2 * C]`, with C a multiple of 4."""
        levels = [x]
        for bins in BINS:
            reduced = ConvNormReLU(
                x.shape[-1] // len(BINS),
                (1, 1),
                frozen_batch_norm=self.frozen_batch_norm,
                dtype=self.dtype,
                name=f"bins{bins}",
            )(adaptive_avg_pool(x, bins), train=train)
            levels.append(resize_bilinear(reduced, size_of(x), align_corners=True))
        return jnp.concatenate(levels, axis=-1)


class PSPNet(BackboneNetwork):
    """PSPNet: pyramid pooling, a classifier, and interpolation of its scores.

    Example:
        >>> model = PSPNet(num_classes=21, backbone="resnet50s")
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W

    Training needs the random key "dropout".

    Attributes:
        backbone: One of `list_backbones(dilated=True)`. Those of the original, "resnet50s" and
            "resnet101s", have its stem of three convolutions; "resnet101" has one of 7 x 7.
        auxiliary: Whether there is another classifier, on res4, whose loss training adds with
            weight `AUXILIARY_WEIGHT`. Prediction does not compute it.
    """

    backbone: str = "resnet101s"
    auxiliary: bool = True

    on_dilated: ClassVar[bool] = True

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score features and pyramid at every eighth pixel, and interpolate."""
        features = self.make_backbone()(images, train=train)
        options: dict[str, Any] = {"frozen_batch_norm": self.frozen_batch_norm, "dtype": self.dtype}

        def classify(x: jax.Array, width: int, name: str) -> jax.Array:
            head = ScoreHead(width, self.num_classes, DROPOUT, **options, name=name)
            return sample_bilinear(head(x, train=train), size_of(images), 1 / 8)

        if self.auxiliary and (train or self.is_initializing()):
            logits = classify(features["res4"], features["res4"].shape[-1] // 4, "auxiliary_head")
            if train:
                self.sow_auxiliary("res4", logits, weight=AUXILIARY_WEIGHT)
        pyramid = PyramidPooling(**options, name="ppm")(features["res5"], train=train)
        return classify(pyramid, pyramid.shape[-1] // 8, "head")


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "pspnet_resnet18": {"backbone": "resnet18"},
    "pspnet_resnet50": {"backbone": "resnet50s"},
    "pspnet_resnet101": {"backbone": "resnet101s"},
    "pspnet_plain4": {"backbone": "plain4"},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("pspnet_plain4", {})
