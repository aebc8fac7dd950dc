"""DeepLab-LargeFOV on VGG-16 (Chen et al., ICLR 2015): fc6 as a 3 x 3 convolution, dilation 12.

The last two poolings have stride 1 and the last three convolutions dilation 2, so that features
have stride 8. With the labels of every eighth pixel, from the first one on, the loss needs no
upsampling.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.backbones.vgg import VGG16, published_weights
from gcn_jax.models.layers import Conv, normal_init, sample_bilinear, size_of
from gcn_jax.models.layers.pooling import avg_pool, max_pool
from gcn_jax.models.network import SegmentationNetwork


class LargeFOVBackbone(VGG16):
    """VGG-16 as DeepLab-LargeFOV lays it out: stride 8, and dense layers of a large field of view.

    Poolings are 3 x 3. For sides of 8 m + 1, as the original's 321 and 513, they are Caffe's; for
    others Caffe adds a last row or column, which here would have no labels, and is not there.
    """

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Compute fc7.

        Args:
            images: float32 `[N, H, W, 3]`, normalised; any H and W.
            train: Batch-norm uses the statistics of the batch, and updates the running ones;
                dropout is on.

        Returns:
            `[N, ceil(H / 8), ceil(W / 8), C]`, C = 1024 times `width`; element i is at pixel 8 * i.
        """
        x = images
        for number, strides in ((1, 2), (2, 2), (3, 2), (4, 1), (5, 1)):
            x = self.stage(x, number, dilation=2 if number == 5 else 1, train=train)
            x = max_pool(x, 3, strides, 1)
        return self.fully_connected(avg_pool(x), 1024, kernel_size=(3, 3), dilation=12, train=train)


class DeepLabLargeFOV(SegmentationNetwork):
    """DeepLab-LargeFOV on VGG-16.

    Attributes:
        width: Factor of the backbone's channels.
        batch_norm: Whether the backbone's 3 x 3 convolutions are followed by batch-norm, which the
            original has not; it trains from scratch.
    """

    width: float = 1.0
    batch_norm: bool = False

    #: In training, logits and labels are of every eighth row and column.
    label_stride: ClassVar[int] = 8

    @nn.nowrap
    def make_backbone(self) -> LargeFOVBackbone:
        """Return the backbone, whose variables are under the name "backbone"."""
        return LargeFOVBackbone(
            width=self.width,
            batch_norm=self.batch_norm,
            **self.backbone_fields(),
        )

    @property
    def backbone_weights(self) -> str:
        """The architecture whose published weights fit the backbone, by timm's name."""
        return published_weights(batch_norm=self.batch_norm)

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score fc7; in prediction, interpolate between those of every eighth pixel."""
        features = self.make_backbone()(images, train=train)
        logits = Conv(
            self.num_classes, (1, 1), kernel_init=normal_init(0.01), dtype=self.dtype, name="fc8"
        )(features).astype(jnp.float32)
        if train:
            return logits
        return sample_bilinear(logits, size_of(images), 1 / self.label_stride)


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {"deeplab_largefov": {}}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("deeplab_largefov", {"width": 1 / 16, "batch_norm": True})
