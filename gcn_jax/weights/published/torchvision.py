"""FCN and DeepLabV3 on ResNet-50 and -101 as torchvision publishes them."""

import re
from typing import Any

from gcn_jax.models.network import SegmentationNetwork, variable_shapes
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables
from gcn_jax.weights.published.family import Family, Identity, Tensors
from gcn_jax.weights.resnet import resnet_source

#: Number of blocks in layer3 -> depth.
_DEPTHS = {6: 50, 23: 101}

#: Layers outside the backbone -> torchvision's.
_AUXILIARY_LAYERS = {
    "auxiliary_head/reduce/conv": "aux_classifier.0",
    "auxiliary_head/reduce/bn": "aux_classifier.1",
    "auxiliary_head/score": "aux_classifier.4",
}
_FCN_LAYERS = {
    "head/reduce/conv": "classifier.0",
    "head/reduce/bn": "classifier.1",
    "head/score": "classifier.4",
}
_DEEPLABV3_LAYERS = {
    "aspp/point/conv": "classifier.0.convs.0.0",
    "aspp/point/bn": "classifier.0.convs.0.1",
    "aspp/rate12/conv": "classifier.0.convs.1.0",
    "aspp/rate12/bn": "classifier.0.convs.1.1",
    "aspp/rate24/conv": "classifier.0.convs.2.0",
    "aspp/rate24/bn": "classifier.0.convs.2.1",
    "aspp/rate36/conv": "classifier.0.convs.3.0",
    "aspp/rate36/bn": "classifier.0.convs.3.1",
    "aspp/image/conv": "classifier.0.convs.4.1",
    "aspp/image/bn": "classifier.0.convs.4.2",
    "aspp/project/conv": "classifier.0.project.0",
    "aspp/project/bn": "classifier.0.project.1",
    "head/reduce/conv": "classifier.1",
    "head/reduce/bn": "classifier.2",
    "head/score": "classifier.4",
}


def _is_deeplabv3(tensors: Tensors) -> bool:
    return "classifier.0.convs.0.0.weight" in tensors


def _identify(tensors: Tensors) -> Identity | None:
    """Know the head by its first convolution, and the depth by the blocks of layer3."""
    needed = {"backbone.conv1.weight", "backbone.layer1.0.conv3.weight", "classifier.4.weight"}
    has_head = _is_deeplabv3(tensors) or "classifier.0.weight" in tensors
    if not has_head or not needed <= tensors.keys():
        return None
    blocks = {match[1] for name in tensors if (match := re.match(r"backbone\.layer3\.(\d+)", name))}
    depth = _DEPTHS.get(len(blocks))
    if depth is None:
        return None
    head = "deeplabv3" if _is_deeplabv3(tensors) else "fcn"
    fields = {
        "num_classes": len(tensors["classifier.4.weight"]),
        "auxiliary": any(name.startswith("aux_classifier.") for name in tensors),
    }
    return Identity(f"{head}_resnet{depth}", fields)


def _convert(tensors: Tensors, network: SegmentationNetwork) -> dict[str, Any]:
    layers = _DEEPLABV3_LAYERS if _is_deeplabv3(tensors) else _FCN_LAYERS
    layers = _AUXILIARY_LAYERS | layers

    def source(path: Leaf) -> str:
        collection, first, *rest, leaf = path
        if first == "backbone":
            return f"backbone.{resnet_source((collection, *rest, leaf))}"
        return f"{layers['/'.join([first, *rest])]}.{LEAVES[leaf]}"

    return import_variables(tensors, variable_shapes(network), source)


FAMILIES = (
    Family(
        title="FCN or DeepLabV3 of torchvision",
        identify=_identify,
        convert=_convert,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence=(
            "BSD-3-Clause, torchvision's; it says that weights may have terms of their own, "
            "derived from the data that they were trained on (COCO)"
        ),
        homepage="https://docs.pytorch.org/vision/stable/models.html#semantic-segmentation",
    ),
)
