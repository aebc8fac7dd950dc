"""U-Net, FPN and DeepLabV3+ on ResNets as segmentation_models.pytorch saves them."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from gcn_jax.models.deeplabv3plus import RATES
from gcn_jax.models.network import SegmentationNetwork, variable_shapes
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables
from gcn_jax.weights.published.family import Family, Identity, Tensors, count_blocks, has_kernels
from gcn_jax.weights.resnet import resnet_source

#: Number of blocks in layer3, and whether they are bottlenecks -> depth.
_DEPTHS = {(2, False): 18, (6, False): 34, (6, True): 50, (23, True): 101}

_ENCODER = (
    "encoder.conv1.weight",
    "encoder.layer1.0.conv1.weight",
    "encoder.layer4.1.conv2.weight",
)
_SCORE = "segmentation_head.0"

#: Our layer of DeepLabV3+ -> theirs: the one over channels and the batch-norm behind it.
_POINTWISE: Mapping[str, tuple[str, str]] = {
    "aspp/point": ("decoder.aspp.0.convs.0.0", "decoder.aspp.0.convs.0.1"),
    **{
        f"aspp/rate{rate}": (f"decoder.aspp.0.convs.{i}.0.1", f"decoder.aspp.0.convs.{i}.1")
        for i, rate in enumerate(RATES, start=1)
    },
    "aspp/image": ("decoder.aspp.0.convs.4.1", "decoder.aspp.0.convs.4.2"),
    "aspp/project": ("decoder.aspp.0.project.0", "decoder.aspp.0.project.1"),
    "aspp/smooth": ("decoder.aspp.1.1", "decoder.aspp.2"),
    "fine": ("decoder.block1.0", "decoder.block1.1"),
    "join": ("decoder.block2.0.1", "decoder.block2.1"),
}
_DEEPLAB_LAYERS: Mapping[str, str] = {
    **{f"{layer}/conv": conv for layer, (conv, _) in _POINTWISE.items()},
    **{f"{layer}/bn": norm for layer, (_, norm) in _POINTWISE.items()},
    **{
        f"{layer}/depthwise": f"{conv.removesuffix('.1')}.0"
        for layer, (conv, _) in _POINTWISE.items()
        if "rate" in layer or layer in ("aspp/smooth", "join")
    },
    "score": _SCORE,
}


def _unet_layer(layer: str) -> str:
    """Return theirs: block1_layer2/bn is decoder.blocks.0.conv2.1."""
    if layer == "score":
        return _SCORE
    place, kind = layer.split("/")
    block, number = re.findall(r"\d+", place)
    return f"decoder.blocks.{int(block) - 1}.conv{number}.{('conv', 'bn').index(kind)}"


def _fpn_layer(layer: str) -> str:
    """Return theirs: branch4_2_norm is decoder.seg_blocks.1.block.1.block.1."""
    if layer in ("score", "lateral5"):
        return _SCORE if layer == "score" else "decoder.p5"
    level, *steps = map(int, re.findall(r"\d", layer))
    if not steps:
        return f"decoder.p{level}.skip_conv"
    kind = ("conv", "norm").index(layer.rpartition("_")[2])
    return f"decoder.seg_blocks.{5 - level}.block.{max(level - 1, 2) - steps[0]}.block.{kind}"


def _identify(tensors: Tensors, head: str, kernels: tuple[str, ...], first: str) -> Identity | None:
    """Know a network by its kernels; `first` is the one with as many outputs as `features`."""
    bottleneck = "encoder.layer1.0.conv3.weight" in tensors
    depth = _DEPTHS.get((count_blocks(tensors, "encoder.layer3."), bottleneck))
    if depth is None or not has_kernels(tensors, kernels):
        return None
    fields = {"num_classes": len(tensors[f"{_SCORE}.weight"])}
    if len(tensors[first]) != 256:
        fields["features"] = len(tensors[first])
    return Identity(f"{head}_resnet{depth}", fields)


def _convert(
    tensors: Tensors, network: SegmentationNetwork, layer_of: Callable[[str], str]
) -> dict[str, Any]:
    def source(path: Leaf) -> str:
        collection, first, *rest, leaf = path
        if first == "backbone":
            return f"encoder.{resnet_source((collection, *rest, leaf))}"
        return f"{layer_of('/'.join([first, *rest]))}.{LEAVES[leaf]}"

    return import_variables(tensors, variable_shapes(network), source)


def _family(
    title: str, head: str, decoder: tuple[str, ...], layer_of: Callable[[str], str]
) -> Family:
    kernels = (*_ENCODER, *decoder, f"{_SCORE}.weight")
    return Family(
        title=f"{title} of segmentation_models.pytorch",
        identify=partial(_identify, head=head, kernels=kernels, first=decoder[0]),
        convert=partial(_convert, layer_of=layer_of),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="MIT (the code's); that of the weights is up to who trained them",
        homepage="https://github.com/qubvel-org/segmentation_models.pytorch",
        names=kernels,
    )


_UNET_DECODER = tuple(f"decoder.blocks.{i}.conv{j}.0.weight" for i in range(5) for j in (1, 2))
_FPN_DECODER = (
    "decoder.p5.weight",
    *(f"decoder.p{level}.skip_conv.weight" for level in (4, 3, 2)),
    *(
        f"decoder.seg_blocks.{i}.block.{j}.block.0.weight"
        for i, count in enumerate((3, 2, 1, 1))
        for j in range(count)
    ),
)
_DEEPLAB_DECODER = tuple(
    f"{theirs}.weight"
    for layer, theirs in _DEEPLAB_LAYERS.items()
    if layer.endswith(("/conv", "/depthwise"))
)

FAMILIES = (
    _family("U-Net", "unet", _UNET_DECODER, _unet_layer),
    _family("FPN", "fpn", _FPN_DECODER, _fpn_layer),
    _family("DeepLabV3+", "deeplabv3plus", _DEEPLAB_DECODER, _DEEPLAB_LAYERS.__getitem__),
)
