"""Mix Transformer, the encoder of SegFormer (Xie et al., NeurIPS 2021, Table 6), stage by stage.

As its authors' code and transformers compute it, so that their weights fit
(`gcn_jax.weights.mit`): overlapping patches, attention to fewer pixels (a convolution makes the
map of keys and values smaller), and a depthwise convolution between the two layers of a block's
perceptron, from which it knows where things are.
"""

import math
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import check_choice
from gcn_jax.models.layers import (
    Conv,
    Dtype,
    LayerNorm,
    attend,
    cut,
    gelu,
    he_normal,
    normal_init,
)

#: Of all layer norms, whatever a published configuration says.
EPSILON = 1e-5

#: Of res2, res3, res4, res5: kernel sizes and strides of the patches, heads of the attention.
PATCHES, STEPS, HEADS = (7, 3, 3, 3), (4, 2, 2, 2), (1, 2, 5, 8)

#: For what share of the images the last residual branches are left out, in training.
STOCHASTIC_DEPTH = 0.1


class Sizes(NamedTuple):
    """A size of the transformer.

    Attributes:
        widths: Channels of res2, res3, res4, res5.
        depths: Number of blocks there.
        reductions: How many times smaller the map of the attention's keys and values is, along both
            axes.
    """

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    reductions: tuple[int, int, int, int] = (8, 4, 2, 1)


#: Name -> sizes, as published.
PUBLISHED = {
    "b0": Sizes((32, 64, 160, 256), (2, 2, 2, 2)),
    "b1": Sizes((64, 128, 320, 512), (2, 2, 2, 2)),
    "b2": Sizes((64, 128, 320, 512), (3, 4, 6, 3)),
    "b3": Sizes((64, 128, 320, 512), (3, 4, 18, 3)),
    "b4": Sizes((64, 128, 320, 512), (3, 8, 27, 3)),
    "b5": Sizes((64, 128, 320, 512), (3, 6, 40, 3)),
}

#: The same, and one for tests.
VARIANTS = {**PUBLISHED, "_tiny": Sizes((4, 8, 10, 16), (1, 1, 1, 1), (2, 2, 2, 1))}

#: A layer that is the same at each pixel; its kernel is `[1, 1, C_in, C_out]`.
_pixelwise = partial(Conv, kernel_size=(1, 1), kernel_init=normal_init(0.02))


class EfficientAttention(nn.Module):
    """Attention of each pixel to a map that a convolution has made smaller.

    Attributes:
        heads: Number of heads, a divisor of the channels.
        reduction: How many times smaller that map is, along both axes; 1 for the map itself.
        dtype: The precision of the computation and of the output; parameters are float32.
    """

    heads: int
    reduction: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to its own shape."""
        dense = partial(_pixelwise, x.shape[-1], dtype=self.dtype)
        seen, r = x, self.reduction
        if r > 1:
            for axis in (1, 2):  # rows and columns that make no whole window are not seen
                if seen.shape[axis] < r:  # the original fails: here zeros fill the one window
                    seen = cut(seen, axis, 0, r)
            seen = Conv(
                x.shape[-1], (r, r), strides=r, padding=(0, 0), dtype=self.dtype, name="reduce"
            )(seen)
            seen = LayerNorm(EPSILON, dtype=self.dtype, name="norm")(seen)
        query = dense(name="query")(x)
        key, value = dense(name="key")(seen), dense(name="value")(seen)
        return dense(name="out")(attend(query, key, value, self.heads))


class MixFFN(nn.Module):
    """A perceptron with one hidden layer, at each pixel, in which neighbours are mixed.

    Attributes:
        expansion: How many times more channels the hidden layer has.
        dtype: The precision of the computation and of the output; parameters are float32.
    """

    expansion: int = 4
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to its own shape."""
        hidden = _pixelwise(self.expansion * x.shape[-1], dtype=self.dtype, name="expand")(x)
        hidden = Conv(
            hidden.shape[-1],
            (3, 3),
            groups=hidden.shape[-1],
            kernel_init=normal_init(math.sqrt(2 / 9)),
            dtype=self.dtype,
            name="mix",
        )(hidden)
        return _pixelwise(x.shape[-1], dtype=self.dtype, name="project")(gelu(hidden))


class Block(nn.Module):
    """Attention and perceptron, each a residual branch behind a layer norm.

    Attributes:
        heads: As of `EfficientAttention`.
        reduction: As of `EfficientAttention`.
        drop: For what share of the images a residual branch is left out, in training (Huang et al.,
            ECCV 2016, *Deep Networks with Stochastic Depth*).
        train: Whether they are.
        dtype: The precision of the computation and of the output; parameters are float32.
    """

    heads: int
    reduction: int
    drop: float
    train: bool
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to its own shape."""
        norm = partial(LayerNorm, EPSILON, dtype=self.dtype)
        drop = nn.Dropout(self.drop, broadcast_dims=(1, 2, 3), deterministic=not self.train)
        attention = EfficientAttention(
            self.heads, self.reduction, dtype=self.dtype, name="attention"
        )
        x = x + drop(attention(norm(name="norm1")(x)))
        return x + drop(MixFFN(dtype=self.dtype, name="ffn")(norm(name="norm2")(x)))


class Stage(nn.Module):
    """Overlapping patches, blocks, and a layer norm.

    Attributes:
        width: Channels.
        patch: Height and width of a patch.
        step: Distance of patches.
        drops: As of `Block`, for each block.
        block: Constructor of blocks.
        dtype: The precision of the computation and of the output; parameters are float32.
    """

    width: int
    patch: int
    step: int
    drops: tuple[float, ...]
    block: Any
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, ceil(H / step), ceil(W / step), width]`."""
        norm = partial(LayerNorm, EPSILON, dtype=self.dtype)
        patches = Conv(
            self.width,
            (self.patch, self.patch),
            strides=self.step,
            kernel_init=he_normal,
            dtype=self.dtype,
            name="patches",
        )
        x = norm(name="patch_norm")(patches(x))
        for i, drop in enumerate(self.drops, start=1):
            x = self.block(drop=drop, name=f"block{i}")(x)
        return norm(name="norm")(x)


class MiT(nn.Module):
    """MiT-B0 to MiT-B5.

    Attributes:
        variant: A name in `VARIANTS`; another one raises `UserError`.
        stochastic_depth: For what share of the images the residual branches of the last block are
            left out, in training; before it the share falls to 0, block by block.
        dtype: The precision of the computation and of the features; parameters are float32.
        remat: Whether what a block computes inside is computed again for its gradient.
    """

    variant: str = "b0"
    stochastic_depth: float = STOCHASTIC_DEPTH
    dtype: Dtype = jnp.float32
    remat: bool = False

    #: Image pixels per feature of res2, res3, res4, res5.
    strides: ClassVar[tuple[int, int, int, int]] = (4, 8, 16, 32)

    def __post_init__(self):
        check_choice("variant of MiT", self.variant, VARIANTS)
        super().__post_init__()

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Compute the features of each stage, behind its layer norm.

        Args:
            images: float32 `[N, H, W, 3]`, normalised.
            train: Whether residual branches are left out at random, by the key "dropout".

        Returns:
            res2 to res5, each `[N, ceil(H / stride), ceil(W / stride), width]`.
        """
        widths, depths, reductions = VARIANTS[self.variant]
        count, block = sum(depths), nn.remat(Block) if self.remat else Block
        drops = [self.stochastic_depth * i / max(count - 1, 1) for i in range(count)]
        features, x = {}, images
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            first = sum(depths[:i])
            x = Stage(
                width,
                PATCHES[i],
                STEPS[i],
                tuple(drops[first : first + depth]),
                partial(block, HEADS[i], reductions[i], train=train, dtype=self.dtype),
                dtype=self.dtype,
                name=f"stage{i + 1}",
            )(x)
            features[f"res{i + 2}"] = x
        return features

    @nn.nowrap
    def distance_to_head(self, path: tuple[str, ...]) -> int:
        """Return how many layers are between a parameter and the head, as learning rates count.

        A stage, with its patches and its norm, is one: 4 to 1. (The authors have no such decay.)

        Args:
            path: The path of the parameter in the backbone.
        """
        return 5 - int(path[0].removeprefix("stage"))
