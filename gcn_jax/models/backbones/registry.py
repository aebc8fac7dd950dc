"""Backbones by name, and the networks that stand on them."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import jax
from flax import linen as nn

from gcn_jax.errors import UserError, check_choice
from gcn_jax.models.backbones import convnext, dinov2, mit
from gcn_jax.models.backbones.plain import Plain
from gcn_jax.models.backbones.resnet import ResNet
from gcn_jax.models.backbones.resnet_gcn import ResNetGCN
from gcn_jax.models.network import SegmentationNetwork

#: The collection of variables in which the features of a backbone can be given.
FEATURES = "features"


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A backbone: how it is made, and what it can do.

    Attributes:
        make: Constructor of a module with the fields `dtype` and `remat` that maps images
            `[N, H, W, 3]` to a dict of features "res2" to "res5", and has their four `strides`,
            none less than the one before. Features of stride s measure ceil(n / s), so ResNet
            (4, 8, 16, 32) makes 65 x 97 pixels into 17 x 25, 9 x 13, 5 x 7 and 3 x 4 features; or
            n // s and at least 1, where pixels that fill no patch are left out, as ConvNeXt does.
            It may have "stem", too, features of half the stride of res2. Called with `train=True`
            it may draw from the random key "dropout". `distance_to_head(path)` says how many
            layers are between a parameter of it and the head, 0 for one whose rate is the head's:
            `config.optimizer.layer_decay` to that power scales its learning rate.
        dilated: Stride of 8 (DeepLab-v2 and -v3, PSPNet) or 16 (DeepLabV3+) -> constructor of the
            same with no stride beyond it. Feature i of stride 8 lies at pixel 8 * i; a map may have
            a row and a column more, of pixels beyond the image.
        pyramid: Whether its strides are powers of two, each the one before or twice it: then maps
            are doubled from one level to the next (GCN, U-Net). Plain vision transformers have one
            stride, of their patches.
        batch_norm: Whether it has the field `frozen_batch_norm`.
        stochastic_depth: Whether it has the field `stochastic_depth` of `ConvNeXt`.
        zero_init_residual: Whether it has the field `zero_init_residual` of `ResNet`.
        weights: The architecture whose published weights fit it, by timm's name, where that is not
            the backbone's own name.
    """

    make: Callable[..., nn.Module]
    dilated: Mapping[int, Callable[..., nn.Module]] = dataclasses.field(default_factory=dict)
    pyramid: bool = True
    batch_norm: bool = True
    stochastic_depth: bool = False
    zero_init_residual: bool = False
    weights: str | None = None


def _resnet(depth: int, *, weights: str | None = None, **fields: Any) -> Backbone:
    """Dilate as DeepLab-v2 and PSPNet do, who pool as Caffe does, or as DeepLabV3+ does."""
    make = partial(ResNet, depth=depth, **fields)
    dilated = {
        8: partial(make, output_stride=8, ceil_mode=True),
        16: partial(make, output_stride=16),
    }
    return Backbone(make, dilated, zero_init_residual=True, weights=weights)


def _torchvision(depth: int) -> Backbone:
    """Dilate as torchvision's FCN and DeepLabV3 do; without dilation it is `_resnet(depth)`."""
    make = partial(ResNet, depth=depth)
    dilated = {s: partial(make, output_stride=s, lagging_dilation=True) for s in (8, 16)}
    return Backbone(make, dilated, zero_init_residual=True, weights=f"resnet{depth}")


def _plain(*widths: *tuple[int, int, int, int]) -> Backbone:
    make = partial(Plain, widths=widths)
    return Backbone(make, dilated={8: make, 16: make})


def _convnext(variant: str) -> Backbone:
    make = partial(convnext.ConvNeXt, variant, norm_features=True)
    return Backbone(make, batch_norm=False, stochastic_depth=True)


def _mit(variant: str) -> Backbone:
    return Backbone(partial(mit.MiT, variant), batch_norm=False, stochastic_depth=True)


def _dinov2(variant: str) -> Backbone:
    make = partial(dinov2.DINOv2, variant)
    return Backbone(make, pyramid=False, batch_norm=False, stochastic_depth=True)


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
    # With a layer norm of each level's features, as under UPerNet.
    **{f"convnext_{variant}": _convnext(variant) for variant in convnext.PUBLISHED},
    **{f"mit_{variant}": _mit(variant) for variant in mit.PUBLISHED},
    **{f"dinov2_{variant}": _dinov2(variant) for variant in dinov2.PUBLISHED},
    "plain4": _plain(24, 48, 96, 96),
    # A top map that is wide for its size, as the paper's of 2048 channels: for Table 4.
    "plain4_wide": _plain(24, 48, 96, 512),
    "_tiny": _plain(4, 8, 8, 8),
    "_convnext": _convnext("_tiny"),
    "_mit": _mit("_tiny"),
    "_dinov2": _dinov2("_tiny"),
}


def list_backbones(*, dilated: bool = False) -> list[str]:
    """Return the names of the backbones, or of those that can be dilated."""
    return [
        name
        for name, record in BACKBONES.items()
        if not name.startswith("_") and (record.dilated or not dilated)
    ]


class BackboneNetwork(SegmentationNetwork):
    """A network on a backbone that its field names.

    One that there is not, or on which the network cannot stand, raises `UserError`.

    Attributes:
        backbone: One of `list_backbones()` that has the form which the network asks for.
        stochastic_depth: For what share of the examples the last residual branch of the backbone is
            left out in training; before it the share falls to 0, block by block (Huang et al.
            2016). None for what the backbone was published with; any other value raises `UserError`
            where the backbone does without.
    """

    backbone: str
    _: dataclasses.KW_ONLY
    stochastic_depth: float | None = None

    #: Whether the network stands on the form of a backbone that is dilated to a stride of 8.
    on_dilated: ClassVar[bool] = False

    #: Whether the network doubles maps from one level to the next, `Backbone.pyramid`.
    on_pyramid: ClassVar[bool] = False

    def __post_init__(self):
        check_choice("backbone", self.backbone, self._constructors())
        if self.stochastic_depth is not None:
            if not BACKBONES[self.backbone].stochastic_depth:
                raise UserError(f"stochastic_depth is not for {self.backbone}, which has none")
            if not 0 <= self.stochastic_depth < 1:
                raise UserError(
                    f"stochastic_depth is {self.stochastic_depth}, but must be at least 0 and "
                    "less than 1"
                )
        super().__post_init__()

    @nn.nowrap
    def form_of(self, backbone: Backbone) -> Callable[..., nn.Module] | None:
        """Return the constructor of the form on which the network stands; None if there is none."""
        if self.on_pyramid and not backbone.pyramid:
            return None
        return backbone.dilated.get(8) if self.on_dilated else backbone.make

    @nn.nowrap
    def backbone_fields(self) -> dict[str, Any]:
        """Return the fields of the backbone that are the network's own, and its name."""
        fields, record = super().backbone_fields(), BACKBONES[self.backbone]
        if not record.batch_norm:
            del fields["frozen_batch_norm"]
        if self.stochastic_depth is not None:
            fields["stochastic_depth"] = self.stochastic_depth
        return fields

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
        made = {name: self.form_of(record) for name, record in BACKBONES.items()}
        return {name: make for name, make in made.items() if make is not None}


class FreezableNetwork(BackboneNetwork):
    """A network whose backbone can stay as it is in training.

    Where variables have the collection `FEATURES`, such as `{"res5": float [N, h, w, C]}`, they
    are taken for the backbone's features of the images, of which the size alone counts then.

    Attributes:
        frozen_backbone: Whether the backbone stays as it is in training: then nothing is kept for
            its gradient. Without weights from elsewhere its features are random.
    """

    _: dataclasses.KW_ONLY
    frozen_backbone: bool = False

    #: The features that the network looks at.
    levels: ClassVar[tuple[str, ...]] = ("res2", "res3", "res4", "res5")

    def _features(
        self, backbone: nn.Module, images: jax.Array, *, train: bool
    ) -> Mapping[str, jax.Array]:
        """Return the features that are given, or compute them.

        Args:
            backbone: What `make_backbone` returned.
            images: float32 `[N, H, W, 3]`, normalised.
            train: As for `__call__`.
        """
        given = self.variables.get(FEATURES)
        if given is not None:
            return {level: given[level].astype(self.dtype) for level in self.levels}
        features = backbone(images, train=train and not self.frozen_backbone)
        return jax.lax.stop_gradient(features) if self.frozen_backbone else features
