"""SegFormer (Xie et al., NeurIPS 2021): four levels of a transformer, and a head of perceptrons.

As its authors' code and transformers compute it: logits of stride 4, interpolated bilinearly.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.backbones.registry import BackboneNetwork
from gcn_jax.models.layers import Conv, lecun_normal, normal_init, resize_bilinear, size_of
from gcn_jax.models.layers.blocks import ConvNormReLU

#: Share of features that are zeroed before the classifier, in training.
DROPOUT = 0.1


class SegFormer(BackboneNetwork):
    """SegFormer: each level is mapped to as many channels, resized and fused with the others.

    Example:
        >>> model = SegFormer(num_classes=150, backbone="mit_b0")
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 150], any H and W

    Training needs the random key "dropout".

    Attributes:
        backbone: One of `list_backbones()`.
        head_width: Channels of the head: 256 with MiT-B0 and -B1, 768 with the larger ones.
    """

    backbone: str = "mit_b0"
    head_width: int = 256

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score the fused levels at the stride of the finest, and interpolate."""
        features = self.make_backbone()(images, train=train)
        size = size_of(features["res2"])
        levels = []
        for level in (5, 4, 3, 2):
            x = Conv(
                self.head_width,
                (1, 1),
                kernel_init=lecun_normal,
                dtype=self.dtype,
                name=f"level{level}",
            )(features[f"res{level}"])
            levels.append(resize_bilinear(x, size))
        fused = ConvNormReLU(
            self.head_width,
            (1, 1),
            frozen_batch_norm=self.frozen_batch_norm,
            dtype=self.dtype,
            name="fuse",
        )(jnp.concatenate(levels, axis=-1), train=train)
        fused = nn.Dropout(DROPOUT, deterministic=not train)(fused)
        scores = Conv(
            self.num_classes,
            (1, 1),
            kernel_init=normal_init(0.01),
            dtype=self.dtype,
            name="score",
        )(fused)
        return resize_bilinear(scores.astype(jnp.float32), size_of(images))


#: Name -> the fields that it fixes. Names with "_" in front are for tests.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "segformer_b0": {"backbone": "mit_b0", "head_width": 256},
    "segformer_b1": {"backbone": "mit_b1", "head_width": 256},
    "segformer_b2": {"backbone": "mit_b2", "head_width": 768},
    "segformer_b3": {"backbone": "mit_b3", "head_width": 768},
    "segformer_b4": {"backbone": "mit_b4", "head_width": 768},
    "segformer_b5": {"backbone": "mit_b5", "head_width": 768},
    "segformer_plain4": {"backbone": "plain4", "head_width": 64},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("segformer_plain4", {"backbone": "_mit"})
