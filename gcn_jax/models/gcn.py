"""Global Convolutional Network: *Large Kernel Matters* (Peng et al., CVPR 2017), Figure 2.

The paper fixes the two branches of `GlobalConv` without a non-linearity between or after them and
with as many channels as there are classes (its Table 2 counts the parameters), the residual form
of `BoundaryRefine`, four levels, and five x2 deconvolutions. Choices of ours, where it is silent:
the same kernel size at all levels, biases in every convolution of the head, and deconvolutions
with kernel 4 that start as bilinear interpolation.
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import UserError, check_choice
from gcn_jax.models.layers import (
    Conv,
    Deconv2x,
    Dtype,
    check_images,
    lecun_normal,
    normal_init,
    resize_bilinear_2x,
)
from gcn_jax.models.plain import Plain
from gcn_jax.models.resnet import ResNet

# Nine residual branches lie in a row: each starts small, so that scores do not grow with depth.
_small_init = normal_init(0.01)


class GlobalConv(nn.Module):
    """Global convolution (Fig. 2B): k x 1 then 1 x k, plus 1 x k then k x 1.

    Every output sees k x k inputs densely, for 2 / k of the parameters of a k x k convolution
    (k large, C_in >> features). There is no non-linearity.

    Attributes:
        features: number of output channels (the classes), and of those between the convolutions.
        kernel_size: k, odd; an even one raises `UserError`.
        use_bias: whether the four convolutions have biases.
        dtype: of the computation and of the output; parameters are float32.
    """

    features: int
    kernel_size: int = 15
    use_bias: bool = True
    dtype: Dtype = jnp.float32

    def __post_init__(self):
        _check_odd(self.kernel_size)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C_in]` to `[N, H, W, features]`; beyond the border there are zeros."""
        k = self.kernel_size
        conv = partial(
            Conv,
            self.features,
            use_bias=self.use_bias,
            kernel_init=lecun_normal,
            dtype=self.dtype,
        )
        left = conv(kernel_size=(k, 1), name="left_k1")(x)
        left = conv(kernel_size=(1, k), name="left_1k")(left)
        right = conv(kernel_size=(1, k), name="right_1k")(x)
        right = conv(kernel_size=(k, 1), name="right_k1")(right)
        return left + right


class BoundaryRefine(nn.Module):
    """Boundary refinement (Fig. 2C): scores + conv3x3(ReLU(conv3x3(scores))).

    Attributes:
        dtype: of the computation and of the output; parameters are float32.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, scores: jax.Array) -> jax.Array:
        """Refine scores `[N, H, W, C]`; the shape stays."""
        conv = partial(Conv, scores.shape[-1], (3, 3), dtype=self.dtype)
        residual = nn.relu(conv(name="conv1")(scores))
        return scores + conv(kernel_init=_small_init, name="conv2")(residual)


#: Name -> constructor of a backbone: a module with the fields `frozen_batch_norm`, `dtype` and
#: `remat` that maps images `[N, H, W, 3]` to a dict of features "res2" to "res5", and has their
#: four `strides`: powers of two, each the one before or twice it. Features of stride s measure
#: ceil(n / s), so ResNet (4, 8, 16, 32) makes 65 x 97 pixels into 17 x 25, 9 x 13, 5 x 7 and 3 x 4
#: features.
BACKBONES: Mapping[str, Callable[..., nn.Module]] = {
    "resnet18": partial(ResNet, depth=18),
    "resnet34": partial(ResNet, depth=34),
    "resnet50": partial(ResNet, depth=50),
    "resnet101": partial(ResNet, depth=101),
    "resnet152": partial(ResNet, depth=152),
    # The original models, converted from Caffe: another place of the strides.
    "resnet50_caffe": partial(ResNet, depth=50, stride_in_1x1=True),
    "resnet101_caffe": partial(ResNet, depth=101, stride_in_1x1=True),
    "resnet152_caffe": partial(ResNet, depth=152, stride_in_1x1=True),
    "plain4": partial(Plain, widths=(24, 48, 96, 96)),
    "_tiny": partial(Plain, widths=(4, 8, 8, 8)),
}

#: Name -> constructor (features, kernel_size, dtype, name) of what scores the classes at a level.
HEADS: Mapping[str, Callable[..., nn.Module]] = {"gcn": GlobalConv}

#: Names of the x2 upsamplings: learnable deconvolution (the paper's), bilinear interpolation.
UPSAMPLINGS = ("deconv", "bilinear")


class GCN(nn.Module):
    """The segmentation network of Figure 2: scores at four levels, fused from coarse to fine.

    Example:
        >>> model = GCN(num_classes=21, backbone="resnet50", kernel_size=15)
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W

    An unknown name or an even kernel size raises `UserError` when the model is built.

    Attributes:
        num_classes: C, number of classes, without void.
        backbone: a name in `BACKBONES`.
        kernel_size: k of the global convolutions at every level, odd (15 is the paper's for VOC).
        head: a name in `HEADS`.
        boundary_refinement: whether scores are refined after every head, fusion and last
            upsampling.
        upsampling: a name in `UPSAMPLINGS`.
        frozen_batch_norm: batch-norm uses the running statistics, even in training.
        dtype: of the computation; parameters, statistics and logits are float32.
        remat: whether what the blocks of the backbone compute inside is computed again for the
            gradient, instead of kept: less memory for one more forward pass of the backbone. (Not
            on a CPU, where XLA undoes it.)
    """

    num_classes: int
    backbone: str = "resnet50"
    kernel_size: int = 15
    head: str = "gcn"
    boundary_refinement: bool = True
    upsampling: str = "deconv"
    frozen_batch_norm: bool = False
    dtype: Dtype = jnp.float32
    remat: bool = False

    def __post_init__(self):
        check_choice("backbone", self.backbone, BACKBONES)
        check_choice("head", self.head, HEADS)
        check_choice("upsampling", self.upsampling, UPSAMPLINGS)
        _check_odd(self.kernel_size)
        super().__post_init__()

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Score the classes at every pixel.

        Args:
            images: float32 `[N, H, W, 3]`, normalised; any H and W.
            train: batch-norm uses the statistics of the batch, and updates the running ones.

        Returns:
            Logits, float32 `[N, H, W, num_classes]`.

        Raises:
            UserError: if the images are not a batch of floats.
        """
        check_images(images)
        backbone = BACKBONES[self.backbone](
            frozen_batch_norm=self.frozen_batch_norm,
            dtype=self.dtype,
            remat=self.remat,
            name="backbone",
        )
        features = backbone(images, train=train)
        strides = dict(zip((2, 3, 4, 5), backbone.strides, strict=True))

        scores = self._score(features["res5"], 5)
        for level in (4, 3, 2):
            finer = self._score(features[f"res{level}"], level)
            if strides[level] < strides[level + 1]:
                scores = self._upsample(scores, finer.shape, f"deconv{level + 1}")
            scores = self._refine(scores + finer, f"refine_sum{level}")

        # ResNet: 1/4 -> 1/2 -> 1, named deconv2 and deconv1.
        stride, step = strides[2], 2
        while stride > 1:
            stride //= 2
            size = (images.shape[0], -(-images.shape[1] // stride), -(-images.shape[2] // stride))
            scores = self._upsample(scores, size, f"deconv{step}")
            scores = self._refine(scores, f"refine_up{step}")
            step -= 1
        return scores.astype(jnp.float32)

    def _score(self, features: jax.Array, level: int) -> jax.Array:
        head = HEADS[self.head]
        scores = head(self.num_classes, self.kernel_size, dtype=self.dtype, name=f"gcn{level}")(
            features
        )
        return self._refine(scores, f"refine{level}")

    def _refine(self, scores: jax.Array, name: str) -> jax.Array:
        if not self.boundary_refinement:
            return scores
        return BoundaryRefine(dtype=self.dtype, name=name)(scores)

    def _upsample(self, scores: jax.Array, shape: tuple[int, ...], name: str) -> jax.Array:
        """Double the size, and crop what an odd target does not have (2 * ceil(n / 2) >= n)."""
        if self.upsampling == "deconv":
            scores = Deconv2x(dtype=self.dtype, name=name)(scores)
        else:
            scores = resize_bilinear_2x(scores)
        return scores[:, : shape[1], : shape[2], :]


def _check_odd(kernel_size: int) -> None:
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise UserError(
            f"kernel_size is {kernel_size}, but must be odd and positive: an even kernel has no "
            "centre; take the next odd number"
        )
