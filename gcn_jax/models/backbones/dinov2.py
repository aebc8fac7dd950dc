"""The vision transformers of DINOv2 (Oquab et al., TMLR 2024), with and without registers.

As their authors' code and transformers compute them: patches of 14 x 14 pixels, a token for the
whole image, positions that are resized to the image, layer scale, layer norms with an epsilon of
1e-6, the exact GELU. Registers (Darcet et al., ICLR 2024) are tokens that stand for nothing.
"""

from functools import partial
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from gcn_jax.errors import check_choice
from gcn_jax.models.layers import (
    Conv,
    Dtype,
    LayerNorm,
    attend,
    gelu,
    normal_init,
    resize_bicubic,
    size_of,
)

#: Height and width of a patch, in px.
PATCH = 14

#: Rows and columns of the positions, which are those of an image of 518 x 518.
GRID = 37


class Variant(NamedTuple):
    """A size of the transformer.

    Attributes:
        width: Channels.
        blocks: Number of blocks, a multiple of 4.
        heads: Number of heads of the attention.
        registers: Number of registers.
    """

    width: int
    blocks: int
    heads: int
    registers: int = 0


#: Name -> variant (the paper's Table 17). Names with "_" in front are for tests.
VARIANTS = {
    "small": Variant(384, 12, 6),
    "base": Variant(768, 12, 12),
    "large": Variant(1024, 24, 16),
    "small_reg": Variant(384, 12, 6, 4),
    "base_reg": Variant(768, 12, 12, 4),
    "large_reg": Variant(1024, 24, 16, 4),
    "_tiny": Variant(8, 4, 2, 1),
}

#: Those that were published.
PUBLISHED = tuple(name for name in VARIANTS if not name.startswith("_"))

#: A layer that is the same at each token; its kernel is `[1, 1, C_in, C_out]`.
_tokenwise = partial(Conv, kernel_size=(1, 1), kernel_init=normal_init(0.02))


class Block(nn.Module):
    """Attention and a perceptron, each a scaled residual branch behind a layer norm.

    Attributes:
        heads: Number of heads, a divisor of the channels.
        drop: For what share of the images a residual branch is left out, in training.
        train: Whether they are.
        dtype: The precision of the computation and of the output; parameters are float32.
    """

    heads: int
    drop: float
    train: bool
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Map `[N, 1, T, C]` to its own shape."""
        width = tokens.shape[-1]
        dense = partial(_tokenwise, dtype=self.dtype)
        norm = partial(LayerNorm, dtype=self.dtype)

        def add(tokens: jax.Array, branch: jax.Array, name: str) -> jax.Array:
            scale = self.param(name, nn.initializers.ones, (width,), jnp.float32)
            branch = branch * scale.astype(self.dtype)[None, None, None]
            drop = nn.Dropout(self.drop, broadcast_dims=(1, 2, 3), deterministic=not self.train)
            return tokens + drop(branch)

        x = norm(name="norm1")(tokens)
        query, key, value = (dense(width, name=name)(x) for name in ("query", "key", "value"))
        x = dense(width, name="out")(attend(query, key, value, self.heads))
        tokens = add(tokens, x, "layer_scale1")
        x = dense(4 * width, name="expand")(norm(name="norm2")(tokens))
        return add(tokens, dense(width, name="project")(gelu(x)), "layer_scale2")


class DINOv2(nn.Module):
    """ViT-S, -B or -L as DINOv2 trained them.

    Attributes:
        variant: A name in `VARIANTS`; another one raises `UserError`.
        stochastic_depth: For what share of the images a residual branch is left out in training.
        dtype: The precision of the computation and of the features; parameters are float32.
        remat: Whether what a block computes inside is computed again for its gradient.
    """

    variant: str = "small"
    stochastic_depth: float = 0.0
    dtype: Dtype = jnp.float32
    remat: bool = False

    #: Image pixels per feature of res2, res3, res4, res5.
    strides: ClassVar[tuple[int, int, int, int]] = (PATCH, PATCH, PATCH, PATCH)

    def __post_init__(self):
        check_choice("variant of DINOv2", self.variant, VARIANTS)
        super().__post_init__()

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Compute the features after each quarter of the blocks, behind the last layer norm.

        Args:
            images: float32 `[N, H, W, 3]`, normalised. Zeros fill the last patches.
            train: Whether residual branches are left out at random, by the key "dropout".

        Returns:
            res2 to res5, each `[N, ceil(H / 14), ceil(W / 14), width]`, and "cls", the token of the
            whole image, `[N, width]`.
        """
        width, count, heads, registers = VARIANTS[self.variant]
        padded = jnp.pad(images, [(0, 0), (0, PATCH - 1), (0, PATCH - 1), (0, 0)])
        patches = _tokenwise(
            width,
            kernel_size=(PATCH, PATCH),
            strides=PATCH,
            padding=(0, 0),
            dtype=self.dtype,
            name="patches",
        )(padded)
        grid = size_of(patches)

        positions = self.param("positions", normal_init(0.02), (GRID**2 + 1, width), jnp.float32)
        at_patches = positions[1:].reshape(1, GRID, GRID, width)
        at_patches = resize_bicubic(at_patches, grid, antialias=registers > 0)
        patches = patches + at_patches.astype(self.dtype)
        special = self.param("cls", normal_init(1e-6), (1, width), jnp.float32) + positions[:1]
        if registers:
            init = normal_init(1e-6)
            more = self.param("registers", init, (registers, width), jnp.float32)
            special = jnp.concatenate([special, more])
        special = special.astype(self.dtype)[None, None]
        special = jnp.broadcast_to(special, (images.shape[0], *special.shape[1:]))
        tokens = patches.reshape(images.shape[0], 1, grid[0] * grid[1], width)
        tokens = jnp.concatenate([special, tokens], axis=2)

        make, norm = nn.remat(Block) if self.remat else Block, LayerNorm(name="norm")
        features: dict[str, jax.Array] = {}
        for i in range(1, count + 1):
            block = make(heads, self.stochastic_depth, train, self.dtype, name=f"block{i}")
            tokens = block(tokens)
            if i % (count // 4) == 0:
                normed = norm(tokens).astype(self.dtype)
                of_patches = lax.slice_in_dim(normed, registers + 1, None, axis=2)
                shape = (images.shape[0], *grid, width)
                features[f"res{1 + 4 * i // count}"] = of_patches.reshape(shape)
        of_image = lax.slice_in_dim(normed, 0, 1, axis=2)
        features["cls"] = of_image.reshape(images.shape[0], width)
        return features

    @nn.nowrap
    def distance_to_head(self, path: tuple[str, ...]) -> int:
        """Return how many layers are between a parameter and the head, as learning rates count.

        As BEiT and MAE have it (open-mmlab/mmsegmentation,
        mmseg/engine/optimizers/layer_decay_optimizer_constructor.py): patches, positions and tokens
        are layer 0, each block is one more, and the last norm belongs to the head.

        Args:
            path: The path of the parameter in the backbone.
        """
        head, first = VARIANTS[self.variant].blocks + 1, path[0]
        if first.startswith("block"):
            return head - int(first.removeprefix("block"))
        return 0 if first == "norm" else head
