"""Semantic FPN (Kirillov et al., CVPR 2019), as segmentation_models.pytorch has it.

A feature pyramid (Lin et al., CVPR 2017) from the deepest features down to res2; each level is
convolved and doubled until it has the size of res2, and the sum of all is scored.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.backbones.registry import BackboneNetwork
from gcn_jax.models.layers import (
    Conv,
    GroupNorm,
    fit,
    lecun_normal,
    relu,
    repeat_2x,
    resize_bilinear,
    size_of,
)

#: Groups of channels that are normalised together.
GROUPS = 32

#: Share of the channels of the sum that are zeroed, in training.
DROPOUT = 0.2


class FPN(BackboneNetwork):
    """Semantic FPN: a feature pyramid, a branch for each of its levels, and a score of their sum.

    Example:
        >>> model = FPN(num_classes=21, backbone="resnet34")
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W

    Training needs the random key "dropout".

    Attributes:
        backbone: One of `list_backbones()` whose strides are powers of two.
        features: Number of channels of the pyramid.
        branch_features: Number of channels of the branches, a multiple of `GROUPS`.
    """

    backbone: str = "resnet34"
    features: int = 256
    branch_features: int = 128

    on_pyramid: ClassVar[bool] = True

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score the sum of all branches at the size of res2, and interpolate."""
        backbone = self.make_backbone()
        features = backbone(images, train=train)
        strides = dict(zip((2, 3, 4, 5), backbone.strides, strict=True))
        conv = partial(Conv, dtype=self.dtype)

        pyramid: dict[int, jax.Array] = {}
        for level in (5, 4, 3, 2):
            lateral = conv(self.features, (1, 1), kernel_init=lecun_normal, name=f"lateral{level}")
            pyramid[level] = lateral(features[f"res{level}"])
            if level < 5:
                above = pyramid[level + 1]
                if strides[level] < strides[level + 1]:
                    above = fit(repeat_2x(above), size_of(pyramid[level]))
                pyramid[level] += above

        branches = []
        for level, x in pyramid.items():
            for finer in range(level - 1, 1, -1) if level > 2 else (2,):
                name = f"branch{level}_{finer}"
                x = conv(self.branch_features, (3, 3), use_bias=False, name=f"{name}_conv")(x)
                x = relu(GroupNorm(GROUPS, dtype=self.dtype, name=f"{name}_norm")(x))
                x = resize_bilinear(x, size_of(pyramid[finer]), align_corners=True)
            branches.append(x)
        x = sum(branches[1:], branches[0])
        x = nn.Dropout(DROPOUT, broadcast_dims=(1, 2), deterministic=not train)(x)
        scores = conv(self.num_classes, (1, 1), kernel_init=lecun_normal, name="score")(x)
        return resize_bilinear(scores.astype(jnp.float32), size_of(images), align_corners=True)


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "fpn_resnet18": {"backbone": "resnet18"},
    "fpn_resnet34": {"backbone": "resnet34"},
    "fpn_resnet50": {"backbone": "resnet50"},
    "fpn_resnet101": {"backbone": "resnet101"},
    "fpn_plain4": {"backbone": "plain4"},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("fpn_plain4", {"features": 16, "branch_features": 32})
