"""Backbones by name."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flax import linen as nn

from gcn_jax.models.backbones.plain import Plain
from gcn_jax.models.backbones.resnet import ResNet
from gcn_jax.models.backbones.resnet_gcn import ResNetGCN

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
    # PSPNet's, by timm's names: a stem of three convolutions.
    "resnet50s": partial(ResNet, depth=50, deep_stem=True),
    "resnet101s": partial(ResNet, depth=101, deep_stem=True),
    # The paper's Figure 5.
    "resnet50_gcn": partial(ResNetGCN, depth=50),
    "plain4": partial(Plain, widths=(24, 48, 96, 96)),
    "_tiny": partial(Plain, widths=(4, 8, 8, 8)),
}

#: Name -> constructor of a backbone whose res4 and res5 have stride 8 (DeepLab-v2, PSPNet): a
#: ResNet dilates them, and pools as Caffe does, so that a map may have a row and a column more, of
#: pixels beyond the image. Feature i lies at pixel 8 * i.
STRIDE_8_BACKBONES: Mapping[str, Callable[..., nn.Module]] = {
    name: partial(make, output_stride=8, ceil_mode=True) if make.func is ResNet else make
    for name, make in BACKBONES.items()
    if make.func in (ResNet, Plain)
}


def build_backbone(
    network: nn.Module, choices: Mapping[str, Callable[..., nn.Module]], **fields: Any
) -> nn.Module:
    """Build the backbone that the fields of a network describe, under the name "backbone".

    Args:
        network: With the fields `backbone`, `frozen_batch_norm`, `dtype` and `remat`.
        choices: `BACKBONES` or `STRIDE_8_BACKBONES`, which has `network.backbone`.
        **fields: Other fields of the backbone.
    """
    return choices[network.backbone](
        frozen_batch_norm=network.frozen_batch_norm,
        dtype=network.dtype,
        remat=network.remat,
        name="backbone",
        **fields,
    )
