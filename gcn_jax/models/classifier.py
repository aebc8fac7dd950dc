"""Classification of images with the backbones of segmentation: to pre-train one, or to rate it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.registry import BACKBONES, BackboneNetwork
from gcn_jax.models.layers import lecun_normal


class Classifier(BackboneNetwork):
    """A backbone, the mean of its features over the image, and one linear layer.

    The scores of an image are those of each of its pixels: with labels that are constant over an
    image, whatever trains and scores segmentation trains and scores classification. Pixel accuracy
    is then the share of the pixels of images of the right class; of images of one size it is the
    accuracy. Padding belongs to the image: where it is much, so is its part in the mean.

    Attributes:
        backbone: One of `list_backbones()`.
        zero_init_residual: As of `resnet.ResNet`; other backbones have no such blocks, and raise
            `UserError`.
    """

    backbone: str = "resnet50"
    zero_init_residual: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.zero_init_residual and not BACKBONES[self.backbone].zero_init_residual:
            raise UserError(f"zero_init_residual is for ResNets, and {self.backbone} is none")

    @nn.nowrap
    def backbone_fields(self) -> dict[str, Any]:
        """Return the fields of the backbone that are the network's own, and its name."""
        residual = {"zero_init_residual": True} if self.zero_init_residual else {}
        return super().backbone_fields() | residual

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score the classes of each image: the same logits at every pixel of it."""
        features = self.make_backbone()(images, train=train)["res5"]
        pooled = features.mean(axis=(1, 2), dtype=jnp.float32)
        logits = nn.Dense(self.num_classes, kernel_init=lecun_normal, name="logits")(pooled)
        return jnp.broadcast_to(logits[:, None, None, :], (*images.shape[:3], self.num_classes))


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {"classifier": {}}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("classifier", {"backbone": "_tiny"})
