"""SegFormer (Xie et al., NeurIPS 2021): four levels of a transformer, and a head of perceptrons.

As its authors' code and transformers compute it: logits of stride 4, interpolated bilinearly.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.backbones.registry import BackboneNetwork
from gcn_jax.models.layers import (
    BatchNorm,
    Conv,
    Dtype,
    convolve,
    he_normal,
    lecun_normal,
    normal_init,
    relu,
    resize_bilinear,
    size_of,
)

#: Share of features that are zeroed before the classifier, in training.
DROPOUT = 0.1


class _ConvOfLevels(nn.Module):
    """A 1 x 1 convolution of levels side by side, each resized to the size of the last one.

    A pixel's product and interpolation can change places: here each level is multiplied at its own
    size, which for four levels is a third of the work, and what is resized is added up.
    """

    features: int
    dtype: Dtype

    @nn.compact
    def __call__(self, levels: Sequence[jax.Array]) -> jax.Array:
        """Map levels `[N, H, W, C]` of any sizes to `[N, H', W', features]`, the last one's."""
        shape = (1, 1, sum(x.shape[3] for x in levels), self.features)
        kernel = self.param("kernel", he_normal, shape, jnp.float32).astype(self.dtype)
        size, total, start = size_of(levels[-1]), jnp.zeros((), self.dtype), 0
        for x in levels:
            part = kernel[:, :, start : start + x.shape[3]]
            total = total + resize_bilinear(convolve(x, part, 1, (0, 0), 1), size)
            start += x.shape[3]
        return total


class _Fuse(nn.Module):
    """The convolution of the levels, batch-norm and a ReLU."""

    features: int
    use_running_average: bool
    dtype: Dtype

    @nn.compact
    def __call__(self, levels: Sequence[jax.Array]) -> jax.Array:
        """Map levels `[N, H, W, C]`, from coarse to fine, to the size of the finest."""
        x = _ConvOfLevels(self.features, self.dtype, name="conv")(levels)
        norm = BatchNorm(self.use_running_average, dtype=self.dtype, name="bn")
        return relu(norm(x))


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
        dense = partial(Conv, kernel_size=(1, 1), dtype=self.dtype)
        levels = [
            dense(self.head_width, kernel_init=lecun_normal, name=f"level{level}")(
                features[f"res{level}"]
            )
            for level in (5, 4, 3, 2)
        ]
        running = not train or self.frozen_batch_norm
        fused = _Fuse(self.head_width, use_running_average=running, dtype=self.dtype, name="fuse")(
            levels
        )
        fused = nn.Dropout(DROPOUT, deterministic=not train)(fused)
        scores = dense(self.num_classes, kernel_init=normal_init(0.01), name="score")(fused)
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
