"""SegNet (Badrinarayanan, Kendall and Cipolla, TPAMI 2017): pooling indices instead of skips.

The encoder is VGG-16's thirteen convolutions with batch-norm, whose poolings keep where each
maximum was; the decoder mirrors it, puts features back at these positions, and makes the sparse
maps dense by convolutions.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.backbones.vgg import (
    STAGES,
    VGG16,
    ConvStack,
    batch_norm,
    published_weights,
    scaled,
)
from gcn_jax.models.layers import Conv, lecun_normal, size_of
from gcn_jax.models.layers.pooling import max_pool_with_indices, max_unpool
from gcn_jax.models.network import SegmentationNetwork


class SegNetEncoder(VGG16):
    """VGG-16 without its dense layers, and with the indices of its poolings."""

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, list[tuple[jax.Array, tuple[int, int]]]]:
        """Compute the features of the last pooling.

        Args:
            images: float32 `[N, H, W, 3]`, normalised; any H and W.
            train: Batch-norm uses the statistics of the batch, and updates the running ones.

        Returns:
            Features `[N, ceil(H / 32), ceil(W / 32), C]`, C = 512 times `width`; and for each of
            the five poolings its indices (see `max_pool_with_indices`) and the (height, width) of
            what was pooled.
        """
        x = images
        poolings: list[tuple[jax.Array, tuple[int, int]]] = []
        for number in (1, 2, 3, 4, 5):
            x = self.stage(x, number, train=train)
            size = size_of(x)
            x, indices = max_pool_with_indices(x)
            poolings.append((indices, size))
        return x, poolings


class SegNet(SegmentationNetwork):
    """SegNet with the 26 convolutions of the paper.

    Attributes:
        width: Factor of the channels of encoder and decoder.
    """

    width: float = 1.0

    @nn.nowrap
    def make_backbone(self) -> SegNetEncoder:
        """Return the encoder, whose variables are under the name "backbone"."""
        return SegNetEncoder(
            width=self.width,
            batch_norm=True,
            **self.backbone_fields(),
        )

    @property
    def backbone_weights(self) -> str:
        """The architecture whose published weights fit the backbone, by timm's name."""
        return published_weights(batch_norm=True)

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Encode, and decode with the indices of the poolings."""
        x, poolings = self.make_backbone()(images, train=train)
        for number in (5, 4, 3, 2, 1):
            x = max_unpool(x, *poolings[number - 1])
            x = ConvStack(
                self._decoder_channels(number),
                norm=batch_norm(self, train),
                dtype=self.dtype,
                name=f"decoder{number}",
            )(x)
        logits = Conv(
            self.num_classes, (3, 3), kernel_init=lecun_normal, dtype=self.dtype, name="score"
        )(x)
        return logits.astype(jnp.float32)

    def _decoder_channels(self, number: int) -> tuple[int, ...]:
        """Mirror a stage: its last convolution has the channels of the stage before.

        That of stage 1 scores the classes, and is none of these.
        """
        count, channels = STAGES[number - 1]
        before = () if number == 1 else (STAGES[number - 2][1],)
        return tuple(scaled(c, self.width) for c in ((count - 1) * (channels,) + before))


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {"segnet": {}}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("segnet", {"width": 1 / 16})
