"""ResNet (He et al., CVPR 2016, Table 1), stage by stage, as torchvision builds it.

The stride of a bottleneck sits in its 3 x 3 convolution, unless asked for in the first 1 x 1, and
paddings are symmetric, so that torchvision's and timm's weights fit (`gcn_jax.weights.resnet`). The
fields `output_stride`, `deep_stem` and `ceil_mode` make what DeepLab-v2 and PSPNet stand on,
`lagging_dilation` what DeepLabV3 does.
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.models.layers import BatchNorm, Conv, Dtype, lecun_normal, relu
from gcn_jax.models.layers.pooling import max_pool


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut: the block of ResNet-18 and -34.

    Attributes:
        width: Channels of the block.
        strides: The stride of the first convolution and of the shortcut.
        conv: Constructor of convolutions.
        norm: Constructor of batch-norms.
        dilation: The dilation of both convolutions.
        zero_init: As `ResNet.zero_init_residual`.
    """

    width: int
    strides: int
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    dilation: int = 1
    zero_init: bool = False
    expansion: ClassVar[int] = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, ceil(H / strides), ceil(W / strides), width]`."""
        conv = partial(self.conv, self.width, (3, 3), dilation=self.dilation)
        y = relu(self.norm(name="bn1")(conv(strides=self.strides, name="conv1")(x)))
        y = last_norm(self, "bn2")(conv(name="conv2")(y))
        return relu(y + shortcut(self, x, self.width))


class Bottleneck(nn.Module):
    """Convolutions 1 x 1, 3 x 3, 1 x 1 and a shortcut: the block of ResNet-50, -101 and -152.

    Attributes:
        width: Channels of the first two convolutions; the block puts out four times as many.
        strides: The stride of the block: of its shortcut, and of one convolution.
        conv: Constructor of convolutions.
        norm: Constructor of batch-norms.
        dilation: The dilation of the 3 x 3 convolution.
        stride_in_1x1: Whether that is the first 1 x 1 convolution; else it is the 3 x 3.
        zero_init: As `ResNet.zero_init_residual`.
    """

    width: int
    strides: int
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    dilation: int = 1
    stride_in_1x1: bool = False
    zero_init: bool = False
    expansion: ClassVar[int] = 4

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, ceil(H / strides), ceil(W / strides), 4 * width]`."""
        width_out = self.expansion * self.width
        first, second = (self.strides, 1) if self.stride_in_1x1 else (1, self.strides)
        y = self.conv(self.width, (1, 1), strides=first, name="conv1")(x)
        y = relu(self.norm(name="bn1")(y))
        y = self.conv(self.width, (3, 3), strides=second, dilation=self.dilation, name="conv2")(y)
        y = relu(self.norm(name="bn2")(y))
        y = last_norm(self, "bn3")(self.conv(width_out, (1, 1), name="conv3")(y))
        return relu(y + shortcut(self, x, width_out))


def last_norm(block: nn.Module, name: str) -> nn.Module:
    """Return the batch-norm before the sum of a block, which `block.zero_init` starts at zero.

    Args:
        block: The block, with the fields `norm` and `zero_init`.
        name: The name of the batch-norm.
    """
    init = nn.initializers.zeros if block.zero_init else nn.initializers.ones
    return block.norm(name=name, scale_init=init)


def shortcut(block: nn.Module, x: jax.Array, width: int) -> jax.Array:
    """Return the input of a block, projected where the block changes its size or its width.

    Args:
        block: The block, with the fields `strides`, `conv` and `norm`.
        x: `[N, H, W, C]`.
        width: The channels that the block puts out.

    Returns:
        `[N, ceil(H / strides), ceil(W / strides), width]`.
    """
    if block.strides == 1 and x.shape[-1] == width:
        return x
    x = block.conv(width, (1, 1), strides=block.strides, name="shortcut_conv")(x)
    return block.norm(name="shortcut_bn")(x)


#: Depth -> (block, number of blocks in res2, res3, res4, res5).
VARIANTS = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}

#: Image pixels per feature of res5 -> of res2, res3, res4, res5.
STRIDES = {32: (4, 8, 16, 32), 16: (4, 8, 16, 16), 8: (4, 8, 8, 8)}


class ResNet(nn.Module):
    """ResNet-18, -34, -50, -101 or -152.

    Attributes:
        depth: One of 18, 34, 50, 101, 152; another one raises `UserError`.
        num_classes: With a number, the classifier of images is there too.
        frozen_batch_norm: Batch-norm uses the running statistics, even in training.
        dtype: The precision of the computation and of the features; parameters, statistics and the
            class scores are float32.
        stride_in_1x1: Where the stride of a bottleneck sits: in its first 1 x 1 convolution, as in
            the original Caffe models, or in its 3 x 3, as in torchvision's. Parameters are alike;
            weights of one kind give poor features in the other. Depths 18 and 34 have no
            bottlenecks, and raise `UserError`.
        output_stride: Image pixels per feature of res5: 32, 16 or 8, else `UserError`. A stage that
            may not stride dilates all its 3 x 3 convolutions instead, by 2 (res4, or res5 at 16) or
            4 (res5 at 8), as DeepLab's and PSPNet's Caffe models do.
        lagging_dilation: Whether the first block of such a stage has the dilation of the stage
            before instead (1 in res4, 2 in res5), as with torchvision's
            `replace_stride_with_dilation`. A bottleneck whose 3 x 3 would stride sees so what it
            would see with its stride; one that strides in its 1 x 1 does without. Parameters are
            alike.
        deep_stem: Whether the first convolution is three of 3 x 3 with 64, 64 and 128 channels
            (PSPNet; timm calls such a network resnet50s) instead of one of 7 x 7 with 64.
        ceil_mode: Whether the max-pooling has another row and column where the size before it is
            even, as in Caffe.
        zero_init_residual: Whether each block starts as its shortcut alone, the scale of its last
            batch-norm being zero (Goyal et al. 2017, *Accurate, Large Minibatch SGD*, section 5.1):
            from scratch a deep network learns sooner so. torchvision's name.
        remat: Whether what a block computes inside is computed again for its gradient, instead of
            kept (Chen et al. 2016, *Training Deep Nets with Sublinear Memory Cost*).
    """

    depth: int = 50
    num_classes: int | None = None
    frozen_batch_norm: bool = False
    dtype: Dtype = jnp.float32
    stride_in_1x1: bool = False
    output_stride: int = 32
    lagging_dilation: bool = False
    deep_stem: bool = False
    ceil_mode: bool = False
    zero_init_residual: bool = False
    remat: bool = False

    def __post_init__(self):
        if self.depth not in VARIANTS:
            raise UserError(f"ResNet has no depth {self.depth!r}; choose one of {list(VARIANTS)}")
        if self.stride_in_1x1 and VARIANTS[self.depth][0] is not Bottleneck:
            raise UserError(f"ResNet-{self.depth} has no 1 x 1 convolution to put a stride in")
        if self.output_stride not in STRIDES:
            raise UserError(
                f"output_stride is {self.output_stride!r}; choose one of {list(STRIDES)}"
            )
        super().__post_init__()

    @property
    def strides(self) -> tuple[int, int, int, int]:
        """Image pixels per feature of res2, res3, res4, res5."""
        return STRIDES[self.output_stride]

    @nn.nowrap
    def block_of(self, level: int) -> type[nn.Module]:
        """Return the class of the blocks of res2, res3, res4 or res5, by its number."""
        return VARIANTS[self.depth][0]

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Compute the features of each stage.

        Args:
            images: float32 `[N, H, W, 3]`, normalised.
            train: Batch-norm uses the statistics of the batch, and updates the running ones.

        Returns:
            stem, before the max-pooling, `[N, ceil(H / 2), ceil(W / 2), C]`, and res2 to res5, each
            `[N, ceil(H / stride), ceil(W / stride), C]`, with C = 64, 64, 128, 256, 512 (of res2 to
            res5 four times as many from depth 50 on; of a deep stem 128), or with `ceil_mode` of
            size (n + 1) // stride + 1 (a feature more where stride divides n or n + 1); with
            `num_classes`, also logits, float32 `[N, num_classes]`.
        """
        conv = partial(Conv, use_bias=False, dtype=self.dtype)
        norm = partial(
            BatchNorm, use_running_average=not train or self.frozen_batch_norm, dtype=self.dtype
        )
        features, before = {"stem": self._stem(images, conv, norm)}, 1
        x = max_pool(features["stem"], ceil_mode=self.ceil_mode)
        for level, num_blocks in zip((2, 3, 4, 5), VARIANTS[self.depth][1], strict=True):
            block: Callable[..., nn.Module] = self.block_of(level)
            if self.remat:
                block = nn.remat(block)
            if self.stride_in_1x1:
                block = partial(block, stride_in_1x1=True)
            if self.zero_init_residual:
                block = partial(block, zero_init=True)
            width = 64 * 2 ** (level - 2)
            dilation = 2**level // self.strides[level - 2]
            for i in range(num_blocks):
                strides = 2 if i == 0 and level > 2 and dilation == 1 else 1
                step = before if i == 0 and self.lagging_dilation else dilation
                dilated = partial(block, dilation=step) if step > 1 else block
                name = f"res{level}_block{i + 1}"
                x = dilated(width, strides, conv, norm, name=name)(x)
            before = dilation
            features[f"res{level}"] = x

        if self.num_classes is not None:
            pooled = x.mean(axis=(1, 2), dtype=jnp.float32)
            features["logits"] = nn.Dense(
                self.num_classes, kernel_init=lecun_normal, name="logits"
            )(pooled)
        return features

    @nn.nowrap
    def distance_to_head(self, path: tuple[str, ...]) -> int:
        """Return how many layers are between a parameter and the head, as learning rates count.

        The stem is one, and each stage: 5 to 1; the classifier of images is a head.

        Args:
            path: The path of the parameter in the backbone.
        """
        first = path[0]
        if first.startswith("res"):
            return 6 - int(first[3])
        return 0 if first == "logits" else 5

    def _stem(
        self, images: jax.Array, conv: Callable[..., nn.Module], norm: Callable[..., nn.Module]
    ) -> jax.Array:
        """Map images to `[N, ceil(H / 2), ceil(W / 2), 64]`, with a deep stem 128."""
        if not self.deep_stem:
            return relu(norm(name="bn1")(conv(64, (7, 7), strides=2, name="conv1")(images)))
        x = images
        for i, (width, strides) in enumerate([(64, 2), (64, 1), (128, 1)], start=1):
            x = conv(width, (3, 3), strides=strides, name=f"conv1_{i}")(x)
            x = relu(norm(name=f"bn1_{i}")(x))
        return x
