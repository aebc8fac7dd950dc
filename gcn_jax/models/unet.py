"""U-Net (Ronneberger et al., MICCAI 2015) on a backbone, as segmentation_models.pytorch has it.

From the deepest features on, each block doubles the map by repeating pixels, joins the features of
that size, and convolves twice. Of the paper's it has the shape; its convolutions pad, and the way
down is a backbone with published weights.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from gcn_jax.models.backbones.registry import BackboneNetwork
from gcn_jax.models.layers import Conv, fit, lecun_normal, repeat_2x, size_of
from gcn_jax.models.layers.blocks import ConvNormReLU

#: Channels of a block at least.
FEWEST = 16


class UNet(BackboneNetwork):
    """U-Net: from the deepest features up to the size of the image, a block for each size.

    Example:
        >>> model = UNet(num_classes=21, backbone="resnet34")
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W

    Attributes:
        backbone: One of `list_backbones()` whose strides are powers of two. ResNets have features
            of stride 2, too; with others the last two blocks join none.
        features: Number of channels of the first block; each next one has half as many, but at
            least `FEWEST`.
    """

    backbone: str = "resnet34"
    features: int = 256

    on_pyramid: ClassVar[bool] = True

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Join the features of each size, from coarse to fine, and score the last block's."""
        backbone = self.make_backbone()
        features = backbone(images, train=train)
        layer = partial(
            ConvNormReLU,
            kernel_size=(3, 3),
            frozen_batch_norm=self.frozen_batch_norm,
            dtype=self.dtype,
        )
        res2, res3, res4, coarser = backbone.strides
        levels = [(res4, features["res4"]), (res3, features["res3"]), (res2, features["res2"])]
        if "stem" in features:
            levels.append((res2 // 2, features["stem"]))
        while levels[-1][0] > 1:
            levels.append((levels[-1][0] // 2, None))

        x = features["res5"]
        for i, (stride, skip) in enumerate(levels, start=1):
            if stride < coarser:
                rows, columns = (-(-n // stride) for n in size_of(images))
                x = fit(repeat_2x(x), (rows, columns) if skip is None else size_of(skip))
            if skip is not None:
                x = jnp.concatenate([x, skip], axis=-1)
            width = max(self.features >> (i - 1), FEWEST)
            x = layer(width, name=f"block{i}_layer1")(x, train=train)
            x = layer(width, name=f"block{i}_layer2")(x, train=train)
            coarser = stride
        score = Conv(
            self.num_classes, (3, 3), kernel_init=lecun_normal, dtype=self.dtype, name="score"
        )
        return score(x).astype(jnp.float32)


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "unet_resnet18": {"backbone": "resnet18"},
    "unet_resnet34": {"backbone": "resnet34"},
    "unet_resnet50": {"backbone": "resnet50"},
    "unet_resnet101": {"backbone": "resnet101"},
    "unet_plain4": {"backbone": "plain4"},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("unet_plain4", {"features": 32})
