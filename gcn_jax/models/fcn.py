"""Fully convolutional networks on VGG-16: FCN-32s, -16s and -8s.

Long, Shelhamer and Darrell, *Fully Convolutional Networks for Semantic Segmentation*, CVPR 2015,
with the geometry of their reference code: 100 zeros around the image, so that fc6 (7 x 7, without
padding) has an output for an image of any size, and crops that align what is added.

The offsets of the crops follow from where an element lies in the image. Element i of the first
convolution is at pixel i - 99; five poolings put element i of pool-k at 2^k * i + (2^k - 1) / 2 -
99, and fc6 moves by three elements: fc7 has its element i at pixel 32 * i + 12.5. A deconvolution
at stride f spreads element i around f * i + f - 1/2. So `upscore32` begins 19 pixels before the
image, `upscore2` begins at element 5 of pool4, and so on.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.vgg import VGG16, published_weights
from gcn_jax.models.layers import Conv, Dtype, bilinear_kernel_init, bilinear_taps, deconvolve
from gcn_jax.models.layers.pooling import max_pool
from gcn_jax.models.network import SegmentationNetwork

#: Where pool4 and pool3 are cropped for the sums.
_POOL4_OFFSET, _POOL3_OFFSET = 5, 9

#: Stride of the scores -> where the image begins in what they are upsampled to.
_IMAGE_OFFSET = {32: 19, 16: 27, 8: 31}


class FCNBackbone(VGG16):
    """VGG-16 as FCN lays it out: 100 zeros around the image, fc6 without padding."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Compute the features that are scored.

        Args:
            images: float32 `[N, H, W, 3]`, normalised; any H and W.
            train: Batch-norm uses the statistics of the batch, and updates the running ones;
                dropout is on.

        Returns:
            pool3, pool4, fc7: `[N, H', W', C]` at strides 8, 16 and 32, C = 256, 512, 4096 times
            `width`. The first two reach beyond the image on all sides.
        """
        x, features = images, {}
        for number in (1, 2, 3, 4, 5):
            x = self.stage(x, number, train=train, first_padding=100 if number == 1 else None)
            x = max_pool(x, 2, 2, 0, ceil_mode=True)
            if number in (3, 4):
                features[f"pool{number}"] = x
        fc7 = self.fully_connected(x, 4096, kernel_size=(7, 7), padding=(0, 0), train=train)
        return {**features, "fc7": fc7}


class FCN(SegmentationNetwork):
    """FCN-32s, -16s or -8s on VGG-16.

    Attributes:
        stride: The stride of the finest scores: 32 scores fc7 alone, 16 adds the scores of pool4,
            and 8 those of pool3; another one raises `UserError`.
        learn_upsampling: Whether the deconvolutions are dense kernels that start as bilinear
            interpolation and learn (in the paper, all but the last do); else they are bilinear
            interpolation, as in the reference code, whose kernels have the learning rate 0.
        width: Factor of the backbone's channels.
        batch_norm: Whether the backbone's 3 x 3 convolutions are followed by batch-norm, which the
            original has not; it trains from scratch.
    """

    stride: int = 8
    learn_upsampling: bool = False
    width: float = 1.0
    batch_norm: bool = False

    def __post_init__(self):
        if self.stride not in _IMAGE_OFFSET:
            raise UserError(f"FCN has no stride {self.stride!r}; choose one of 32, 16, 8")
        super().__post_init__()

    @nn.nowrap
    def make_backbone(self) -> FCNBackbone:
        """Return the backbone, whose variables are under the name "backbone"."""
        return FCNBackbone(
            width=self.width,
            batch_norm=self.batch_norm,
            **self.backbone_fields(),
        )

    @property
    def backbone_weights(self) -> str:
        """The architecture whose published weights fit the backbone, by timm's name."""
        return published_weights(batch_norm=self.batch_norm)

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Add the scores of finer features to upsampled coarser ones, and crop the image."""
        features = self.make_backbone()(images, train=train)
        score = partial(
            Conv,
            self.num_classes,
            (1, 1),
            kernel_init=nn.initializers.zeros,
            dtype=self.dtype,
        )
        upsample = partial(Upsample, learn=self.learn_upsampling, dtype=self.dtype)

        scores = score(name="score_fr")(features["fc7"])
        if self.stride <= 16:
            scores = upsample(2, name="upscore2")(scores)
            pool4 = _crop(features["pool4"], _POOL4_OFFSET, scores.shape)
            scores += score(name="score_pool4")(pool4)
        if self.stride == 8:
            scores = upsample(2, name="upscore_pool4")(scores)
            pool3 = _crop(features["pool3"], _POOL3_OFFSET, scores.shape)
            scores += score(name="score_pool3")(pool3)
        scores = upsample(self.stride, name=f"upscore{self.stride}")(scores)
        return _crop(scores, _IMAGE_OFFSET[self.stride], images.shape).astype(jnp.float32)


class Upsample(nn.Module):
    """Deconvolution at stride f with 2f x 2f kernels that are, or start as, bilinear interpolation.

    Parameters: with `learn`, `kernel` `[2f, 2f, C, C]`, as in `layers.Deconv2x`; else none.

    Attributes:
        factor: F.
        learn: Whether the kernel learns; else each channel is interpolated by itself.
        dtype: The precision of the computation and of the output; the kernel is float32.
    """

    factor: int
    learn: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Upsample `[N, H, W, C]` to `[N, f * (H + 1), f * (W + 1), C]`; zeros lie around x."""
        x = x.astype(self.dtype)
        if not self.learn:
            return _interpolate(_interpolate(x, self.factor, axis=1), self.factor, axis=2)
        shape = (2 * self.factor, 2 * self.factor, x.shape[-1], x.shape[-1])
        kernel = self.param("kernel", bilinear_kernel_init, shape, jnp.float32)
        return deconvolve(x, kernel.astype(self.dtype))


def _interpolate(x: jax.Array, factor: int, axis: int) -> jax.Array:
    """Deconvolve an axis: output f * i + r gets taps r and f + r times inputs i and i - 1."""
    taps = jnp.asarray(bilinear_taps(factor), x.dtype).reshape(2, factor)
    taps = jnp.expand_dims(taps, [1 + d for d in range(x.ndim + 1) if d != axis + 1])
    padding = [(0, 0)] * x.ndim
    padding[axis] = (1, 1)
    x = jnp.expand_dims(jnp.pad(x, padding), axis + 1)
    n = x.shape[axis] - 1
    y = taps[0] * jax.lax.slice_in_dim(x, 1, n + 1, axis=axis)
    y += taps[1] * jax.lax.slice_in_dim(x, 0, n, axis=axis)
    return y.reshape(*y.shape[:axis], n * factor, *y.shape[axis + 2 :])


def _crop(x: jax.Array, offset: int, shape: tuple[int, ...]) -> jax.Array:
    """Cut the height and width of `shape` out of x."""
    return x[:, offset : offset + shape[1], offset : offset + shape[2]]


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "fcn32s_vgg16": {"stride": 32},
    "fcn16s_vgg16": {"stride": 16},
    "fcn8s_vgg16": {"stride": 8},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = (
    "fcn8s_vgg16",
    {"width": 1 / 32, "batch_norm": True, "learn_upsampling": True},
)
