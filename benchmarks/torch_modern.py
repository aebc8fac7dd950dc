"""Today's networks as the libraries have them that people take them from: no code of ours.

    pip install 'transformers<5' segmentation-models-pytorch

They have the layers, the widths and as many parameters as ours of that name
(`tests/benchmarks/test_benchmarks.py`).
"""

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional as F

from benchmarks.torch_layers import Network

try:
    import segmentation_models_pytorch
    import transformers
except ImportError as error:
    raise SystemExit(
        f"error: {error.name} is not installed: "
        "pip install 'transformers<5' segmentation-models-pytorch"
    ) from None


class _Library(Network):
    """A network of a library.

    Args:
        network: The module.
    """

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images):
        """Map `[N, 3, H, W]` to logits of every pixel, in training to `{"logits": (1, logits)}`."""
        logits = self._resized(self.scores(images), images)
        return {"logits": (1, logits)} if self.training else logits

    def scores(self, images):
        """Return what the library's network gives, of any size."""
        return self.network(images)

    @staticmethod
    def _resized(scores, images):
        if scores.shape[2:] == images.shape[2:]:
            return scores.float()
        return F.interpolate(scores.float(), images.shape[2:], mode="bilinear")


class SegFormer(_Library):
    """MiT-B0 and SegFormer's head, of transformers."""

    def __init__(self, num_classes: int):
        config = transformers.SegformerConfig(num_labels=num_classes)
        super().__init__(transformers.SegformerForSemanticSegmentation(config))

    def scores(self, images):
        """Return the logits at stride 4."""
        return self.network(images).logits


class UPerNet(_Library):
    """ConvNeXt-T, UPerNet's head and an auxiliary one, of transformers."""

    def __init__(self, num_classes: int):
        stages = [f"stage{i}" for i in (1, 2, 3, 4)]
        backbone = transformers.ConvNextConfig(out_features=stages, drop_path_rate=0.1)
        config = transformers.UperNetConfig(
            backbone_config=backbone, num_labels=num_classes, auxiliary_in_channels=384
        )
        super().__init__(transformers.UperNetForSemanticSegmentation(config))

    def forward(self, images):
        """Return what `_Library` does, in training with the auxiliary head's logits."""
        features = self.network.backbone(images).feature_maps
        logits = self._resized(self.network.decode_head(features), images)
        if not self.training:
            return logits
        auxiliary = self._resized(self.network.auxiliary_head(features), images)
        return {"logits": (1, logits), "auxiliary": (0.4, auxiliary)}


def _unet(num_classes):
    return _Library(
        segmentation_models_pytorch.Unet("resnet34", encoder_weights=None, classes=num_classes)
    )


def _deeplabv3plus(num_classes):
    return _Library(
        segmentation_models_pytorch.DeepLabV3Plus(
            "resnet50", encoder_weights=None, classes=num_classes
        )
    )


#: Name of `gcn_jax.models.create_model` -> constructor of its twin, from the number of classes.
MODERN_TWINS: Mapping[str, Callable[[int], Network]] = {
    "segformer_b0": SegFormer,
    "upernet_convnext_tiny": UPerNet,
    "unet_resnet34": _unet,
    "deeplabv3plus_resnet50": _deeplabv3plus,
}
