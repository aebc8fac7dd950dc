"""FCN on a dilated ResNet, as torchvision has it (after Long et al., CVPR 2015).

Two convolutions score features of stride 8 with dilated res4 and res5, and the scores are
interpolated; another such head on res4 helps in training. What the FCN of the paper skips and
crops, `gcn_jax.models.fcn` has.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax

from gcn_jax.models.backbones.registry import BackboneNetwork
from gcn_jax.models.layers import resize_bilinear, size_of
from gcn_jax.models.layers.blocks import ScoreHead

#: Weight of the loss of the auxiliary classifier on res4.
AUXILIARY_WEIGHT = 0.5

#: Share of features that are zeroed before a classifier, in training.
DROPOUT = 0.1


class FCNResNet(BackboneNetwork):
    """FCN on ResNet: a classifier of dilated features, and interpolation of its scores.

    Example:
        >>> model = FCNResNet(num_classes=21, backbone="resnet50_torchvision")
        >>> variables = jax.jit(model.init)(jax.random.key(0), images)
        >>> logits = model.apply(variables, images)  # [N, H, W, 21], any H and W

    Training needs the random key "dropout".

    Attributes:
        backbone: One of `list_backbones(dilated=True)`. torchvision's are "resnet50_torchvision"
            and "resnet101_torchvision".
        auxiliary: Whether there is another classifier, on res4, whose loss training adds with
            weight `AUXILIARY_WEIGHT`. Prediction does not compute it.
    """

    backbone: str = "resnet101_torchvision"
    auxiliary: bool = True

    on_dilated: ClassVar[bool] = True

    def _compute_logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Score features at every eighth pixel, and interpolate."""
        features = self.make_backbone()(images, train=train)

        def classify(x: jax.Array, name: str) -> jax.Array:
            scores = ScoreHead(
                x.shape[-1] // 4,
                self.num_classes,
                DROPOUT,
                frozen_batch_norm=self.frozen_batch_norm,
                dtype=self.dtype,
                name=name,
            )(x, train=train)
            return resize_bilinear(scores, size_of(images))

        if self.auxiliary and (train or self.is_initializing()):
            logits = classify(features["res4"], "auxiliary_head")
            if train:
                self.sow_auxiliary("res4", logits, weight=AUXILIARY_WEIGHT)
        return classify(features["res5"], "head")


#: Name -> the fields that it fixes.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "fcn_resnet18": {"backbone": "resnet18"},
    "fcn_resnet50": {"backbone": "resnet50_torchvision"},
    "fcn_resnet101": {"backbone": "resnet101_torchvision"},
    "fcn_plain4": {"backbone": "plain4"},
}

#: The name of one, and the fields that make it small, for tests.
TINY: tuple[str, Mapping[str, Any]] = ("fcn_plain4", {})
