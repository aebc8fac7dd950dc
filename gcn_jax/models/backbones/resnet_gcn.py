"""ResNet-GCN: a ResNet whose deepest bottlenecks see with global convolutions.

*Large Kernel Matters* (Peng et al., CVPR 2017), Figure 5 and Table 6: in res-4 and res-5 the first
two layers of a bottleneck, 1 x 1 and 3 x 3, become k x 1 then 1 x k, plus 1 x k then k x 1, with
batch-norm and ReLU after every convolution, "to keep consistent with the original" block. Channels
and k make the parameters of a block about those of the bottleneck it stands for.

The stride of a stage's first block, of which the paper does not speak, sits in the first
convolution of both branches: at the entrance of the block, as in the original Caffe ResNet.
"""

from collections.abc import Callable

import jax
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.resnet import VARIANTS, Bottleneck, ResNet, last_norm, shortcut
from gcn_jax.models.layers import relu

#: Width of a bottleneck -> (k, channels) of what stands for it: res-4, res-5 (the appendix).
GLOBAL_CONVS = {256: (5, 85), 512: (7, 128)}


class GlobalConvBottleneck(nn.Module):
    """Global convolution, 1 x 1 convolution and a shortcut: the block of Figure 5B.

    Attributes:
        width: The width of the bottleneck that it stands for, in `GLOBAL_CONVS`; the block puts out
            four times as many channels.
        strides: The stride of its shortcut, and of the first convolution of both branches.
        conv: Constructor of convolutions.
        norm: Constructor of batch-norms.
        zero_init: As `ResNet.zero_init_residual`.
    """

    width: int
    strides: int
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    zero_init: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, ceil(H / strides), ceil(W / strides), 4 * width]`."""
        k, channels = GLOBAL_CONVS[self.width]
        width_out = Bottleneck.expansion * self.width

        def conv(x, kernel_size, strides, name):
            x = self.conv(channels, kernel_size, strides=strides, name=name)(x)
            return relu(self.norm(name=f"{name}_bn")(x))

        left = conv(conv(x, (k, 1), self.strides, "left_k1"), (1, k), 1, "left_1k")
        right = conv(conv(x, (1, k), self.strides, "right_1k"), (k, 1), 1, "right_k1")
        y = last_norm(self, "bn3")(self.conv(width_out, (1, 1), name="conv3")(left + right))
        return relu(y + shortcut(self, x, width_out))


class ResNetGCN(ResNet):
    """ResNet-50, -101 or -152 with `GlobalConvBottleneck` in res-4 and res-5; fields of `ResNet`.

    The paper's is depth 50. `stride_in_1x1` has no 1 x 1 there to be about, and nothing says how
    global convolutions would dilate: it and an `output_stride` below 32 raise `UserError`.
    """

    def __post_init__(self):
        bottlenecks = VARIANTS.get(self.depth, (None,))[0] is Bottleneck
        if not bottlenecks or self.stride_in_1x1 or self.output_stride != 32:
            raise UserError(
                "ResNet-GCN is of depth 50, 101 or 152, without stride_in_1x1, at output_stride 32"
            )
        super().__post_init__()

    @nn.nowrap
    def block_of(self, level: int) -> type[nn.Module]:
        """Return the class of the blocks of res2, res3, res4 or res5, by its number."""
        return GlobalConvBottleneck if level >= 4 else super().block_of(level)
