"""Backbones by name, and the networks that stand on them."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from flax import linen as nn

from gcn_jax.errors import check_choice
from gcn_jax.models.backbones.plain import Plain
from gcn_jax.models.backbones.resnet import ResNet
from gcn_jax.models.backbones.resnet_gcn import ResNetGCN
from gcn_jax.models.network import SegmentationNetwork


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A backbone: how it is made, and what it can do.

    Attributes:
        make: Constructor of a module with the fields `frozen_batch_norm`, `dtype` and `remat` that
            maps images `[N, H, W, 3]` to a dict of features "res2" to "res5", and has their four
            `strides`: powers of two, each the one before or twice it. Features of stride s measure
            ceil(n / s), so ResNet (4, 8, 16, 32) makes 65 x 97 pixels into 17 x 25, 9 x 13, 5 x 7
            and 3 x 4 features.
        dilated: Constructor of the same with res4 and res5 of stride 8 (the DeepLabs, PSPNet), or
            None. Feature i lies at pixel 8 * i; a map may have a row and a column more, of pixels
            beyond the image.
        zero_init_residual: Whether it has the field `zero_init_residual` of `ResNet`.
        weights: The architecture whose published weights fit it, by timm's name, where that is not
            the backbone's own name.
    """

    make: Callable[..., nn.Module]
    dilated: Callable[..., nn.Module] | None = None
    zero_init_residual: bool = False
    weights: str | None = None


def _resnet(depth: int, *, weights: str | None = None, **fields: Any) -> Backbone:
    """Dilate as DeepLab-v2 and PSPNet do, who pool as Caffe does."""
    make = partial(ResNet, depth=depth, **fields)
    dilated = partial(make, output_stride=8, ceil_mode=True)
    return Backbone(make, dilated, zero_init_residual=True, weights=weights)


def _torchvision(depth: int) -> Backbone:
    """Dilate as torchvision's FCN and DeepLabV3 do; without dilation it is `_resnet(depth)`."""
    make = partial(ResNet, depth=depth)
    dilated = partial(make, output_stride=8, lagging_dilation=True)
    return Backbone(make, dilated, zero_init_residual=True, weights=f"resnet{depth}")


def _plain(*widths: *tuple[int, int, int, int]) -> Backbone:
    make = partial(Plain, widths=widths)
    return Backbone(make, dilated=make)


#: Names with "_" in front are for tests.
BACKBONES: Mapping[str, Backbone] = {
    "resnet18": _resnet(18),
    "resnet34": _resnet(34),
    "resnet50": _resnet(50),
    "resnet101": _resnet(101),
    "resnet152": _resnet(152),
    # The original models, converted from Caffe: another place of the strides.
    "resnet50_caffe": _resnet(50, stride_in_1x1=True, weights="resnet50"),
    "resnet101_caffe": _resnet(101, stride_in_1x1=True, weights="resnet101"),
    "resnet152_caffe": _resnet(152, stride_in_1x1=True, weights="resnet152"),
    # torchvision's, which differ in how they are dilated alone.
    "resnet50_torchvision": _torchvision(50),
    "resnet101_torchvision": _torchvision(101),
    # PSPNet's, by timm's names: a stem of three convolutions.
    "resnet50s": _resnet(50, deep_stem=True),
    "resnet101s": _resnet(101, deep_stem=True),
    # The paper's Figure 5.
    "resnet50_gcn": Backbone(partial(ResNetGCN, depth=50), zero_init_residual=True),
    "plain4": _plain(24, 48, 96, 96),
    "_tiny": _plain(4, 8, 8, 8),
}


def list_backbones(*, dilated: bool = False) -> list[str]:
    """Return the names of the backbones, or of those that can be `dilated`."""
    return [
        name
        for name, record in BACKBONES.items()
        if not name.startswith("_") and (record.dilated or not dilated)
    ]


class BackboneNetwork(SegmentationNetwork):
    """A network on a backbone that its field names; one that there is not raises `UserError`.

    Attributes:
        backbone: One of `list_backbones()`, dilated where the network is `on_dilated`.
    """

    backbone: str

    #: Whether the network stands on the dilated form of a backbone.
    on_dilated: ClassVar[bool] = False

    def __post_init__(self):
        check_choice("backbone", self.backbone, self._constructors())
        super().__post_init__()

    @nn.nowrap
    def make_backbone(self) -> nn.Module:
        """Return the backbone, whose variables are under the name "backbone"."""
        return self._constructors()[self.backbone](**self.backbone_fields())

    @property
    def backbone_weights(self) -> str:
        """The architecture whose published weights fit the backbone, by timm's name."""
        return BACKBONES[self.backbone].weights or self.backbone

    @nn.nowrap
    def _constructors(self) -> dict[str, Callable[..., nn.Module]]:
        """Return the backbones that the network can stand on."""
        made = {n: b.dilated if self.on_dilated else b.make for n, b in BACKBONES.items()}
        return {name: make for name, make in made.items() if make is not None}
