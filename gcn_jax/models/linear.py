"""Linear: one linear layer on the features of a backbone that stays as it is.

So DINOv2 (Oquab et al., TMLR 2024, section 7.4) rates its features by segmentation: batch-norm, a
1 x 1 convolution to scores, bilinear interpolation. With few labelled images it is hard to beat.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from gcn_jax.models.backbones.registry import FreezableNetwork
from gcn_jax.models.layers import BatchNorm, Conv, enlarge, normal_init, size_of


class Linear(FreezableNetwork):
    """Batch-norm and a linear layer on the deepest features, and interpolation of the scores.

    Example:
        >>> model = Linear(num_classes=21, backbone="dinov2_small")
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W

    Attributes:
        backbone: One of `list_backbones()`.
        frozen_backbone: As of `FreezableNetwork`, True by default.
    """

    backbone: str = "dinov2_small"
    frozen_backbone: bool = True

    levels: ClassVar[tuple[str, ...]] = ("res5",)

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score the features at their stride, and interpolate."""
        backbone = self.make_backbone()
        features = self._features(backbone, images, train=train)["res5"]
        running = not train or self.frozen_batch_norm
        features = BatchNorm(use_running_average=running, dtype=self.dtype, name="bn")(features)
        scores = Conv(
            self.num_classes, (1, 1), kernel_init=normal_init(0.01), dtype=self.dtype, name="score"
        )(features)
        return enlarge(scores.astype(jnp.float32), size_of(images), backbone.strides[-1])


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    **{
        f"linear_dinov2_{size}{registers}": {"backbone": f"dinov2_{size}{registers}"}
        for size in ("small", "base", "large")
        for registers in ("", "_reg")
    },
    "linear_plain4": {"backbone": "plain4"},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = (
    "linear_dinov2_small",
    {"backbone": "_dinov2", "frozen_backbone": False},
)
