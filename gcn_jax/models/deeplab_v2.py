"""DeepLab-v2 (Chen et al., TPAMI 2018): atrous spatial pyramid pooling over several input scales.

After the authors' Caffe model on ResNet-101, details that the paper leaves out included: features
of stride 8 with dilated res4 and res5, pooling with another row and column (`ceil_mode`), and
pixels of different scales aligned at the first one, as Caffe's `Interp` aligns them.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.backbones.registry import BackboneNetwork
from gcn_jax.models.layers import Conv, Dtype, normal_init, sample_bilinear, size_of

#: Dilations of the branches (the paper's ASPP-L).
RATES = (6, 12, 18, 24)

#: Sizes of the images beside their own.
SCALES = (0.75, 0.5)


def scale_name(scale: float) -> str:
    """Return what the scores of an image of this scale are called (`sow_auxiliary`)."""
    return f"scale_{scale}"


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling (ASPP): a 3 x 3 convolution for each of `RATES`, summed.

    Attributes:
        features: Number of output channels (the classes).
        dtype: The precision of the computation and of the output; parameters are float32.
    """

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C]` to `[N, H, W, features]`; beyond the border there are zeros."""
        branches = [
            Conv(
                self.features,
                (3, 3),
                dilation=rate,
                kernel_init=normal_init(0.01),
                dtype=self.dtype,
                name=f"rate{rate}",
            )(x)
            for rate in RATES
        ]
        return functools.reduce(jnp.add, branches)


class DeepLabV2(BackboneNetwork):
    """DeepLab-v2: one network sees the images at three sizes, and the largest score counts.

    Example:
        >>> model = DeepLabV2(num_classes=21)
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W

    In training the scores of each scale have a loss of their own beside that of their maximum, all
    of the same weight (`sow_auxiliary`). A map of scores is compared at its own size, as in the
    original, with the labels that lie nearest to its elements.

    Attributes:
        backbone: One of `list_backbones(dilated=True)`. In the original's, "resnet101_caffe",
            strides sit in the first 1 x 1 convolutions; weights of torchvision are for "resnet101".
        multi_scale: Whether there are scales beside 1, in training and in prediction.
    """

    backbone: str = "resnet101_caffe"
    multi_scale: bool = True

    on_dilated: ClassVar[bool] = True

    #: In training, logits and labels are of every eighth row and column.
    label_stride: ClassVar[int] = 8

    #: So many pixels of the image lie between the scores of each scale.
    auxiliary_strides: ClassVar[Mapping[str, float]] = {
        scale_name(scale): 8 / scale for scale in (1, *SCALES)
    }

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score the images at every scale, and take the largest score of each class."""
        backbone = self.make_backbone()
        pyramid = AtrousPyramid(self.num_classes, dtype=self.dtype, name="aspp")

        def score(images: jax.Array) -> jax.Array:
            return pyramid(backbone(images, train=train)["res5"]).astype(jnp.float32)

        def labelled(scores: jax.Array, size: Sequence[int]) -> jax.Array:
            """Cut off the row and column that a map may have more: of pixels beyond the image."""
            height, width = (-(-n // self.label_stride) for n in size)
            return scores[:, :height, :width]

        def sow(scale: float, scores: jax.Array, size: Sequence[int]) -> None:
            if train and self.multi_scale:
                self.sow_auxiliary(scale_name(scale), labelled(scores, size), weight=1.0)

        full = size_of(images)
        largest = score(images)
        sow(1, largest, full)
        for scale in SCALES if self.multi_scale else ():
            size = _scaled(full[0], scale), _scaled(full[1], scale)
            scores = score(sample_bilinear(images, size, 1 / scale))
            sow(scale, scores, size)
            largest = jnp.maximum(largest, sample_bilinear(scores, size_of(largest), scale))
        if train:
            return labelled(largest, full)
        return sample_bilinear(largest, full, 1 / self.label_stride)


def _scaled(n: int, scale: float) -> int:
    """Return how many pixels of a scale lie between the first and the last of n (exactly)."""
    numerator, denominator = scale.as_integer_ratio()
    return (n - 1) * numerator // denominator + 1


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "deeplab_v2_resnet18": {"backbone": "resnet18"},
    "deeplab_v2_resnet101": {"backbone": "resnet101"},
    "deeplab_v2_resnet101_caffe": {"backbone": "resnet101_caffe"},
    "deeplab_v2_plain4": {"backbone": "plain4"},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("deeplab_v2_plain4", {})
