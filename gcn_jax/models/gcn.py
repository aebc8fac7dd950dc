"""Global Convolutional Network: *Large Kernel Matters* (Peng et al., CVPR 2017), Figure 2.

The paper fixes the global convolution (`gcn_heads.GlobalConv`), the residual form of
`BoundaryRefine`, four levels, and five x2 deconvolutions. Choices of ours, where it is silent: the
same kernel size at all levels, biases in every convolution of the head, and deconvolutions with
kernel 4 that start as bilinear interpolation.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import check_choice
from gcn_jax.models.backbones.registry import FreezableNetwork
from gcn_jax.models.gcn_heads import HEADS, check_odd
from gcn_jax.models.layers import (
    Conv,
    Deconv2x,
    Dtype,
    depth_to_space,
    enlarge,
    fit,
    keeps_blocks,
    normal_init,
    relu,
    resize_bilinear_2x,
    size_of,
)

# Nine residual branches lie in a row: each starts small, so that scores do not grow with depth.
_small_init = normal_init(0.01)


class BoundaryRefine(nn.Module):
    """Boundary refinement (Fig. 2C): scores + conv3x3(ReLU(conv3x3(scores))).

    Attributes:
        dtype: The precision of the computation and of the output; parameters are float32.
        block: The side of the blocks in which the pixels lie (`layers/pixel_blocks.py`).
    """

    dtype: Dtype = jnp.float32
    block: int = 1

    @nn.compact
    def __call__(self, scores: jax.Array) -> jax.Array:
        """Refine scores `[N, H, W, C]`; the shape stays."""
        classes = scores.shape[-1] // self.block**2
        conv = partial(Conv, classes, (3, 3), dtype=self.dtype, block=self.block)
        residual = relu(conv(name="conv1")(scores))
        return scores + conv(kernel_init=_small_init, name="conv2")(residual)


#: Names of the x2 upsamplings: learnable deconvolution (the paper's), bilinear interpolation.
UPSAMPLINGS = ("deconv", "bilinear")


class GCN(FreezableNetwork):
    """The segmentation network of Figure 2: scores at four levels, fused from coarse to fine.

    Example:
        >>> model = GCN(num_classes=21, backbone="resnet50", kernel_size=15)
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W

    An unknown head or upsampling or an even kernel size raises `UserError` when the model is built.

    Attributes:
        backbone: One of `list_backbones()`.
        kernel_size: K of the global convolutions at every level, odd (15 is the paper's for VOC).
        head: What scores res-5, a name in `HEADS`; by default the finer levels have the same.
        finer_head: What scores res-4 to res-2, where it is to be another head (the studies vary
            that of res-5 alone).
        stack_channels: M of the head "stack", the channels between its convolutions; None for as
            many as the features have.
        boundary_refinement: Whether scores are refined after every head, fusion and last
            upsampling.
        upsampling: A name in `UPSAMPLINGS`.
    """

    backbone: str = "resnet50"
    kernel_size: int = 15
    head: str = "gcn"
    finer_head: str | None = None
    stack_channels: int | None = None
    boundary_refinement: bool = True
    upsampling: str = "deconv"

    def __post_init__(self):
        for head in (self.head, self.finer_head or self.head):
            check_choice("head", head, HEADS)
        check_choice("upsampling", self.upsampling, UPSAMPLINGS)
        check_odd(self.kernel_size)
        super().__post_init__()

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Add the scores of every level to those of the next finer one, and upsample the sum."""
        backbone = self.make_backbone()
        features = self._features(backbone, images, train=train)
        strides = dict(zip((2, 3, 4, 5), backbone.strides, strict=True))

        scores = self._score(features["res5"], 5)
        for level in (4, 3, 2):
            finer = self._score(features[f"res{level}"], level)
            if strides[level] < strides[level + 1]:
                scores = self._upsample(scores, size_of(finer), f"deconv{level + 1}")
            scores = self._refine(scores + finer, f"refine_sum{level}")

        # ResNet: 1/4 -> 1/2 -> 1, named deconv2 and deconv1.
        stride, step, block = strides[2], 2, 1
        in_blocks = keeps_blocks(scores) and self._fill_blocks(size_of(images), stride)
        while stride % 2 == 0:
            stride //= 2
            block *= 2 if in_blocks else 1
            height, width = (-(-n // stride) for n in size_of(images))
            scores = self._upsample(scores, (height, width), f"deconv{step}", block)
            scores = self._refine(scores, f"refine_up{step}", block)
            step -= 1
        if stride > 1:  # patches of 14 pixels
            scores = enlarge(scores, size_of(images), stride)
        return depth_to_space(scores.astype(jnp.float32), block)

    def _score(self, features: jax.Array, level: int) -> jax.Array:
        name = self.head if level == 5 else self.finer_head or self.head
        head = HEADS[name]
        if name == "stack":
            head = partial(head, middle_features=self.stack_channels)
        head = head(self.num_classes, self.kernel_size, dtype=self.dtype, name=f"{name}{level}")
        return self._refine(head(features), f"refine{level}")

    def _refine(self, scores: jax.Array, name: str, block: int = 1) -> jax.Array:
        if not self.boundary_refinement:
            return scores
        return BoundaryRefine(dtype=self.dtype, block=block, name=name)(scores)

    def _upsample(
        self, scores: jax.Array, size: tuple[int, int], name: str, block: int = 1
    ) -> jax.Array:
        """Double the size; an odd target has a row less, or of maps rounded down one more.

        In blocks of pixels, which are of even targets, the blocks are twice as wide afterwards.
        """
        if self.upsampling == "deconv":
            scores = Deconv2x(dtype=self.dtype, block=block, name=name)(scores)
        else:
            scores = resize_bilinear_2x(scores)
        return scores if block > 1 else fit(scores, size)

    def _fill_blocks(self, size: tuple[int, int], stride: int) -> bool:
        """Whether deconvolutions double maps up to the images, without a row to cut off."""
        doubled = self.upsampling == "deconv" and stride.bit_count() == 1
        return doubled and all(n % stride == 0 for n in size)


#: Name -> the fields that it fixes. Names with "_" in front are for tests.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "gcn_resnet18": {"backbone": "resnet18"},
    "gcn_resnet34": {"backbone": "resnet34"},
    "gcn_resnet50": {"backbone": "resnet50"},
    "gcn_resnet101": {"backbone": "resnet101"},
    "gcn_resnet152": {"backbone": "resnet152"},
    "gcn_resnet50_caffe": {"backbone": "resnet50_caffe"},
    "gcn_resnet101_caffe": {"backbone": "resnet101_caffe"},
    "gcn_resnet152_caffe": {"backbone": "resnet152_caffe"},
    "gcn_resnet50_gcn": {"backbone": "resnet50_gcn"},
    "gcn_convnext_tiny": {"backbone": "convnext_tiny"},
    "gcn_convnext_small": {"backbone": "convnext_small"},
    "gcn_convnext_base": {"backbone": "convnext_base"},
    **{f"gcn_mit_b{i}": {"backbone": f"mit_b{i}"} for i in range(6)},
    **{
        f"gcn_dinov2_{size}": {"backbone": f"dinov2_{size}", "frozen_backbone": True}
        for size in ("small", "base", "large")
    },
    "gcn_plain4": {"backbone": "plain4"},
    "gcn_plain4_wide": {"backbone": "plain4_wide"},
    "_tiny": {"backbone": "_tiny", "kernel_size": 5},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("_tiny", {})
