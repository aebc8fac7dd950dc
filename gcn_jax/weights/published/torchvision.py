"""FCN and DeepLabV3 on ResNet-50 and -101 as torchvision publishes them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from gcn_jax.models.deeplabv3 import RATES
from gcn_jax.models.network import SegmentationNetwork, variable_shapes
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables
from gcn_jax.weights.published.family import (
    Family,
    Identity,
    Tensors,
    count_blocks,
    has_kernels,
)
from gcn_jax.weights.resnet import last_kernels, resnet_source

#: Number of blocks in layer3 -> depth.
_DEPTHS = {6: 50, 23: 101}


def _conv_norm(layer: str, theirs: str, number: int = 0) -> dict[str, str]:
    """Return the names of a `ConvNormReLU`, which is two layers of a sequence there."""
    return {f"{layer}/conv": f"{theirs}.{number}", f"{layer}/bn": f"{theirs}.{number + 1}"}


#: Our layer outside the backbone -> theirs.
_AUXILIARY_LAYERS = {
    **_conv_norm("auxiliary_head/reduce", "aux_classifier"),
    "auxiliary_head/score": "aux_classifier.4",
}
_FCN_LAYERS = {
    **_conv_norm("head/reduce", "classifier"),
    "head/score": "classifier.4",
}
_DEEPLABV3_LAYERS = {
    **_conv_norm("aspp/point", "classifier.0.convs.0"),
    **_conv_norm(f"aspp/rate{RATES[0]}", "classifier.0.convs.1"),
    **_conv_norm(f"aspp/rate{RATES[1]}", "classifier.0.convs.2"),
    **_conv_norm(f"aspp/rate{RATES[2]}", "classifier.0.convs.3"),
    **_conv_norm("aspp/image", "classifier.0.convs.4", 1),
    **_conv_norm("aspp/project", "classifier.0.project"),
    **_conv_norm("head/reduce", "classifier", 1),
    "head/score": "classifier.4",
}

_BACKBONE_KERNELS = ("backbone.conv1.weight", *last_kernels("backbone."))


def _kernels(layers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the kernels that every file with these layers has."""
    heads = (f"{name}.weight" for layer, name in layers.items() if not layer.endswith("/bn"))
    return (*_BACKBONE_KERNELS, *heads)


def _identify(tensors: Tensors, head: str, kernels: tuple[str, ...]) -> Identity | None:
    """Know a network by its kernels, and its depth by the blocks of layer3."""
    blocks = count_blocks(tensors, "backbone.layer3.")
    if not has_kernels(tensors, kernels) or blocks not in _DEPTHS:
        return None
    fields: dict[str, Any] = {"num_classes": len(tensors["classifier.4.weight"])}
    if not any(name.startswith("aux_classifier.") for name in tensors):
        fields["auxiliary"] = False
    return Identity(f"{head}_resnet{_DEPTHS[blocks]}", fields)


def _convert(
    tensors: Tensors, network: SegmentationNetwork, layers: Mapping[str, str]
) -> dict[str, Any]:
    def source(path: Leaf) -> str:
        collection, first, *rest, leaf = path
        if first == "backbone":
            return f"backbone.{resnet_source((collection, *rest, leaf))}"
        return f"{layers['/'.join([first, *rest])]}.{LEAVES[leaf]}"

    return import_variables(tensors, variable_shapes(network), source)


def _family(title: str, head: str, layers: Mapping[str, str]) -> Family:
    return Family(
        title=f"{title} of torchvision",
        identify=partial(_identify, head=head, kernels=_kernels(layers)),
        convert=partial(_convert, layers=_AUXILIARY_LAYERS | dict(layers)),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence=(
            "BSD-3-Clause (the code's; torchvision says that weights may have terms of their own, "
            "derived from the data that they were trained on)"
        ),
        homepage="https://docs.pytorch.org/vision/stable/models.html#semantic-segmentation",
        names=_kernels(layers),
    )


FAMILIES = (
    _family("FCN", "fcn", _FCN_LAYERS),
    _family("DeepLabV3", "deeplabv3", _DEEPLABV3_LAYERS),
)
