"""UPerNet (Xiao et al., ECCV 2018): pyramid pooling on top of a feature pyramid.

As OpenMMLab and transformers have it for one task, semantic segmentation: interpolation keeps the
edges of the corner pixels where they are, and another classifier, on res4, helps in training.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from gcn_jax.models.backbones.registry import BackboneNetwork
from gcn_jax.models.layers import resize_bilinear, size_of
from gcn_jax.models.layers.blocks import ConvNormReLU, ScoreHead
from gcn_jax.models.layers.pooling import adaptive_avg_pool

#: The deepest features are averaged over grids of 1 x 1 to 6 x 6 bins.
BINS = (1, 2, 3, 6)

#: Channels of the auxiliary classifier on res4, and the weight of its loss.
AUXILIARY_FEATURES, AUXILIARY_WEIGHT = 256, 0.4

#: Share of features that are zeroed before a classifier, in training.
DROPOUT = 0.1


class UPerNet(BackboneNetwork):
    """UPerNet: pyramid pooling of res5, a feature pyramid down to res2, a classifier of all levels.

    Example:
        >>> model = UPerNet(num_classes=150, backbone="convnext_tiny")
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 150], any H and W

    Training needs the random key "dropout".

    Attributes:
        backbone: One of `list_backbones()`.
        features: Number of channels of the pyramids.
        auxiliary: Whether there is another classifier, on res4, whose loss training adds with
            weight `AUXILIARY_WEIGHT`. Prediction does not compute it.
    """

    backbone: str = "convnext_tiny"
    features: int = 512
    auxiliary: bool = True

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score all levels together at the size of res2, and interpolate."""
        features = self.make_backbone()(images, train=train)
        options: dict[str, Any] = {"frozen_batch_norm": self.frozen_batch_norm, "dtype": self.dtype}
        layer = partial(
            ConvNormReLU,
            self.features,
            frozen_batch_norm=self.frozen_batch_norm,
            dtype=self.dtype,
        )

        def classify(x: jax.Array, width: int, name: str) -> jax.Array:
            head = ScoreHead(width, self.num_classes, DROPOUT, **options, name=name)
            return resize_bilinear(head(x, train=train), size_of(images))

        if self.auxiliary and (train or self.is_initializing()):
            logits = classify(features["res4"], AUXILIARY_FEATURES, "auxiliary_head")
            if train:
                self.sow_auxiliary("res4", logits, weight=AUXILIARY_WEIGHT)

        deepest = features["res5"]
        means = [
            layer((1, 1), name=f"bins{bins}")(adaptive_avg_pool(deepest, bins), train=train)
            for bins in BINS
        ]
        means = [resize_bilinear(mean, size_of(deepest)) for mean in means]
        x = layer((3, 3), name="ppm")(jnp.concatenate([deepest, *means], axis=-1), train=train)
        levels = [x]
        for level in (4, 3, 2):
            lateral = layer((1, 1), name=f"lateral{level}")(features[f"res{level}"], train=train)
            x = lateral + resize_bilinear(x, size_of(lateral))
            levels.insert(0, layer((3, 3), name=f"fpn{level}")(x, train=train))
        levels = [resize_bilinear(level, size_of(levels[0])) for level in levels]
        return classify(jnp.concatenate(levels, axis=-1), self.features, "head")


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "upernet_convnext_tiny": {"backbone": "convnext_tiny"},
    "upernet_convnext_small": {"backbone": "convnext_small"},
    "upernet_convnext_base": {"backbone": "convnext_base"},
    "upernet_convnext_large": {"backbone": "convnext_large"},
    "upernet_convnext_xlarge": {"backbone": "convnext_xlarge"},
    "upernet_resnet50": {"backbone": "resnet50"},
    "upernet_plain4": {"backbone": "plain4"},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = (
    "upernet_convnext_tiny",
    {"backbone": "_convnext", "features": 16},
)
