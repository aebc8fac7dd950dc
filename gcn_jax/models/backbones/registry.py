"""Backbones by name."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flax import linen as nn

from gcn_jax.errors import check_choice
from gcn_jax.models.backbones.plain import Plain
from gcn_jax.models.backbones.resnet import ResNet
from gcn_jax.models.backbones.resnet_gcn import ResNetGCN


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A backbone by name, and what it can do.

    What it makes is a module with the fields `frozen_batch_norm`, `dtype` and `remat` that maps
    images `[N, H, W, 3]` to a dict of features "res2" to "res5", and has their four `strides`:
    powers of two, each the one before or twice it. Features of stride s measure ceil(n / s), so
    ResNet (4, 8, 16, 32) makes 65 x 97 pixels into 17 x 25, 9 x 13, 5 x 7 and 3 x 4 features. Where
    others have published weights for it, the module has a `published` name; see
    `gcn_jax.weights.backbone`.

    Attributes:
        make: Makes the module from its fields.
        dilated: Makes it with res4 and res5 of stride 8 (DeepLab-v2, PSPNet); None where it cannot.
            A ResNet dilates them, and pools as Caffe does, so that a map may have a row and a
            column more, of pixels beyond the image. Feature i lies at pixel 8 * i.
        is_residual: Whether it has the field `zero_init_residual`.
    """

    make: Callable[..., nn.Module]
    dilated: Callable[..., nn.Module] | None = None
    is_residual: bool = False


def _resnet(**fields: Any) -> Backbone:
    make = partial(ResNet, **fields)
    return Backbone(make, partial(make, output_stride=8, ceil_mode=True), is_residual=True)


def _plain(*widths: *tuple[int, int, int, int]) -> Backbone:
    make = partial(Plain, widths=widths)
    return Backbone(make, dilated=make)


#: Name -> record. Names with "_" in front are for tests.
BACKBONES: Mapping[str, Backbone] = {
    "resnet18": _resnet(depth=18),
    "resnet34": _resnet(depth=34),
    "resnet50": _resnet(depth=50),
    "resnet101": _resnet(depth=101),
    "resnet152": _resnet(depth=152),
    # The original models, converted from Caffe: another place of the strides.
    "resnet50_caffe": _resnet(depth=50, stride_in_1x1=True),
    "resnet101_caffe": _resnet(depth=101, stride_in_1x1=True),
    "resnet152_caffe": _resnet(depth=152, stride_in_1x1=True),
    # PSPNet's, by timm's names: a stem of three convolutions.
    "resnet50s": _resnet(depth=50, deep_stem=True),
    "resnet101s": _resnet(depth=101, deep_stem=True),
    # The paper's Figure 5.
    "resnet50_gcn": Backbone(partial(ResNetGCN, depth=50)),
    "plain4": _plain(24, 48, 96, 96),
    "_tiny": _plain(4, 8, 8, 8),
}


def list_backbones(*, dilated: bool = False) -> list[str]:
    """Return the names of the backbones.

    Args:
        dilated: Whether only those count whose last stages can have stride 8.
    """
    return [
        name
        for name, backbone in BACKBONES.items()
        if not name.startswith("_") and (backbone.dilated or not dilated)
    ]


def check_backbone(name: str, *, dilated: bool = False) -> None:
    """Raise `UserError` unless there is a backbone of a name.

    Args:
        name: The name.
        dilated: Whether its last stages must be able to have stride 8.
    """
    names = [name for name, one in BACKBONES.items() if one.dilated or not dilated]
    check_choice("backbone", name, names)


def build_backbone(network: Any, *, dilated: bool = False, **fields: Any) -> nn.Module:
    """Build the backbone that the fields of a network describe, under the name "backbone".

    Args:
        network: A network with the field `backbone`.
        dilated: Whether its last stages have stride 8.
        **fields: Other fields of the backbone.
    """
    record = BACKBONES[network.backbone]
    make = record.dilated if dilated else record.make
    assert make is not None
    return make(
        frozen_batch_norm=network.frozen_batch_norm,
        dtype=network.dtype,
        remat=network.remat,
        name="backbone",
        **fields,
    )
