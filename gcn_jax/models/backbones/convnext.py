"""ConvNeXt (Liu et al., CVPR 2022): depthwise 7 x 7 convolutions in blocks like a transformer's.

As its authors, timm and torchvision have it: patches of 4 x 4 pixels, layer norms with an epsilon
of 1e-6, the exact GELU, layer scale, stochastic depth. What fills no patch is left out.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gcn_jax.errors import check_choice
from gcn_jax.models.layers import Conv, Dtype, LayerNorm, gelu, lecun_normal, normal_init, size_of

#: How much of a branch a block adds at first.
LAYER_SCALE = 1e-6


class Variant(NamedTuple):
    """A size of ConvNeXt.

    Attributes:
        blocks: Number of blocks in res2, res3, res4, res5.
        widths: Their channels.
        stochastic_depth: The share of the last block with which it was trained.
    """

    blocks: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    stochastic_depth: float


#: Name -> variant (section 3 of the paper, and appendix A.1 for the share; XLarge's is of its
#: training on ImageNet-22K). Names with "_" in front are for tests.
VARIANTS: Mapping[str, Variant] = {
    "tiny": Variant((3, 3, 9, 3), (96, 192, 384, 768), 0.1),
    "small": Variant((3, 3, 27, 3), (96, 192, 384, 768), 0.4),
    "base": Variant((3, 3, 27, 3), (128, 256, 512, 1024), 0.5),
    "large": Variant((3, 3, 27, 3), (192, 384, 768, 1536), 0.5),
    "xlarge": Variant((3, 3, 27, 3), (256, 512, 1024, 2048), 0.2),
    "_tiny": Variant((1, 1, 2, 1), (4, 8, 12, 16), 0.1),
}

#: Those that were published.
PUBLISHED = tuple(name for name in VARIANTS if not name.startswith("_"))


class Block(nn.Module):
    """A depthwise 7 x 7 convolution, layer norm, two layers over channels, and a shortcut.

    Attributes:
        drop: For what share of the examples the shortcut alone is left.
        dtype: The precision of the computation and of the output; parameters are float32.
    """

    drop: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to the same shape."""
        channels = x.shape[-1]
        conv = partial(Conv, kernel_init=normal_init(0.02), dtype=self.dtype)
        y = conv(channels, (7, 7), groups=channels, name="depthwise")(x)
        y = LayerNorm(dtype=self.dtype, name="norm")(y)
        y = gelu(conv(4 * channels, (1, 1), name="expand")(y))
        y = conv(channels, (1, 1), name="reduce")(y)
        initial = nn.initializers.constant(LAYER_SCALE)
        scale = self.param("layer_scale", initial, (channels,), jnp.float32)
        y = y * scale.astype(self.dtype)[None, None, None]
        return x + nn.Dropout(self.drop, broadcast_dims=(1, 2, 3), deterministic=False)(y)


class Downsample(nn.Module):
    """Layer norm, and a convolution of 2 x 2 pixels at stride 2.

    Attributes:
        width: Number of output channels.
        dtype: The precision of the computation and of the output; parameters are float32.
    """

    width: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, H // 2, W // 2, width]`."""
        x = LayerNorm(dtype=self.dtype, name="norm")(x)
        return _patches(self.width, 2, self.dtype, "conv")(x)


def _patches(width: int, size: int, dtype: Dtype, name: str) -> Conv:
    """Return a convolution of patches that touch each other."""
    return Conv(
        width,
        (size, size),
        strides=size,
        padding=(0, 0),
        kernel_init=normal_init(0.02),
        dtype=dtype,
        name=name,
    )


class ConvNeXt(nn.Module):
    """ConvNeXt-T, -S, -B, -L or -XL.

    Attributes:
        variant: A name in `VARIANTS`; another one raises `UserError`.
        num_classes: With a number, the classifier of images is there too.
        norm_features: Whether each level has a layer norm, "norm2" to "norm5", after which its
            features are returned: what stands on several levels needs it (UPerNet), and files of
            a classifier lack it. Else features are those that the next level gets.
        stochastic_depth: For what share of the examples the branch of the last block is left out in
            training; before it the share falls to 0, block by block. None for the variant's.
        dtype: The precision of the computation and of the features; parameters and the class scores
            are float32.
        remat: Whether what a block computes inside is computed again for its gradient.
    """

    variant: str = "tiny"
    num_classes: int | None = None
    norm_features: bool = False
    stochastic_depth: float | None = None
    dtype: Dtype = jnp.float32
    remat: bool = False

    #: Image pixels per feature of res2, res3, res4, res5.
    strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 16, 32)

    def __post_init__(self):
        check_choice("variant of ConvNeXt", self.variant, VARIANTS)
        super().__post_init__()

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Compute the features of each stage.

        Args:
            images: float32 `[N, H, W, 3]`, normalised; to sides of less than 32 zeros are added.
            train: Whether branches are left out at random, by the key "dropout".

        Returns:
            res2 to res5, each `[N, H // stride, W // stride, width]`, but at least one row and one
            column; with `num_classes`, also logits, float32 `[N, num_classes]`.
        """
        variant = VARIANTS[self.variant]
        norm = partial(LayerNorm, dtype=self.dtype)
        make = nn.remat(Block) if self.remat else Block
        drops = self._drops() if train else np.zeros(sum(variant.blocks))
        missing = [max(0, self.strides[-1] - n) for n in size_of(images)]
        x = images
        if any(missing):
            x = jnp.pad(x, [(0, 0), (0, missing[0]), (0, missing[1]), (0, 0)])

        features: dict[str, jax.Array] = {}
        x = norm(name="stem_norm")(_patches(variant.widths[0], 4, self.dtype, "stem_conv")(x))
        block = 0
        for level, count, width in zip((2, 3, 4, 5), variant.blocks, variant.widths, strict=True):
            if level > 2:
                x = Downsample(width, self.dtype, name=f"res{level}_downsample")(x)
            for i in range(count):
                x = make(float(drops[block]), self.dtype, name=f"res{level}_block{i + 1}")(x)
                block += 1
            kept = norm(name=f"norm{level}")(x) if self.norm_features else x
            if any(missing):
                rows, columns = (max(1, n // 2**level) for n in size_of(images))
                kept = kept[:, :rows, :columns]
            features[f"res{level}"] = kept

        if self.num_classes is not None:
            pooled = x.mean(axis=(1, 2), dtype=jnp.float32)
            pooled = LayerNorm(name="logits_norm")(pooled)
            logits = nn.Dense(self.num_classes, kernel_init=lecun_normal, name="logits")
            features["logits"] = logits(pooled)
        return features

    @nn.nowrap
    def distance_to_head(self, path: tuple[str, ...]) -> int:
        """Return how many layers are between a parameter and the head, as learning rates count.

        As the authors do it under UPerNet (facebookresearch/ConvNeXt,
        mmcv_custom/layer_decay_optimizer_constructor.py, "stage_wise"): the stem and what halves
        the size are layer 0, the blocks of res2 to res5 layers 1 to 4. The head, to which the norms
        of the features count, is layer 7 for ConvNeXt-T and 13 for the larger ones: one more than
        there are layers where three blocks of res4 make one.

        Args:
            path: The path of the parameter in the backbone.
        """
        head = 4 - (-VARIANTS[self.variant].blocks[2] // 3)
        first = path[0]
        if first.startswith("stem") or first.endswith("downsample"):
            return head
        return head - int(first[3]) + 1 if first.startswith("res") else 0

    def _drops(self) -> np.ndarray[Any, Any]:
        """Return the share of each block, from 0 on."""
        variant = VARIANTS[self.variant]
        last = variant.stochastic_depth if self.stochastic_depth is None else self.stochastic_depth
        return np.linspace(0, last, sum(variant.blocks))
