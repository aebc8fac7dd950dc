"""Classification of images with the backbones of segmentation: to pre-train one, or to rate it."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.registry import BACKBONES, build_backbone, check_backbone
from gcn_jax.models.layers import lecun_normal
from gcn_jax.models.network import SegmentationNetwork


class Classifier(SegmentationNetwork):
    """A backbone, the mean of its features over the image, and one linear layer.

    The scores of an image are those of each of its pixels: with labels that are constant over an
    image, whatever trains and scores segmentation trains and scores classification. Pixel accuracy
    is then the share of the pixels of images of the right class; of images of one size it is the
    accuracy. Padding belongs to the image: where it is much, so is its part in the mean.

    Attributes:
        backbone: A name in `list_backbones()`.
        zero_init_residual: As of `resnet.ResNet`; other backbones have no such blocks, and raise
            `UserError`.
    """

    backbone: str = "resnet50"
    zero_init_residual: bool = False

    def __post_init__(self):
        check_backbone(self.backbone)
        if self.zero_init_residual and not BACKBONES[self.backbone].is_residual:
            raise UserError(f"zero_init_residual is for ResNets, and {self.backbone} is none")
        super().__post_init__()

    @nn.nowrap
    def make_backbone(self) -> nn.Module:
        """Return the backbone, whose parameters are `params["backbone"]`."""
        residual = {"zero_init_residual": True} if self.zero_init_residual else {}
        return build_backbone(self, **residual)

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Score the classes of each image.

        Args:
            images: float32 `[N, H, W, 3]`, normalised; any H and W.
            train: Batch-norm uses the statistics of the batch, and updates the running ones.

        Returns:
            Logits, float32 `[N, H, W, num_classes]`, the same at every pixel of an image.

        Raises:
            UserError: If the images are not a batch of floats.
        """
        self.check_call(images, train)
        features = self.make_backbone()(images, train=train)["res5"]
        pooled = features.mean(axis=(1, 2), dtype=jnp.float32)
        logits = nn.Dense(self.num_classes, kernel_init=lecun_normal, name="logits")(pooled)
        return jnp.broadcast_to(logits[:, None, None, :], (*images.shape[:3], self.num_classes))


#: Name -> the fields that it fixes.
VARIANTS: dict[str, dict[str, Any]] = {"classifier": {}}

#: The name of one, and the fields that make it small for tests.
TINY: tuple[str, dict[str, Any]] = ("classifier", {"backbone": "_tiny"})
