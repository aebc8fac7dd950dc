"""DeepLab-v2 of kazuto1011/deeplab-pytorch: the Caffe original's ResNet-101, for images in BGR."""

import re
from typing import Any

from gcn_jax.models.deeplab_v2 import RATES
from gcn_jax.models.network import SegmentationNetwork, variable_shapes
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables
from gcn_jax.weights.published.family import (
    Family,
    Identity,
    Tensors,
    count_blocks,
    for_rgb,
    has_kernels,
)

_FIRST = "layer1.conv1.conv.weight"
_CONVOLUTIONS = ("reduce", "conv3x3", "increase")
_NAMES = (
    _FIRST,
    *(
        f"layer{stage}.block{block}.{conv}.conv.weight"
        for stage, blocks in ((2, 3), (3, 4), (4, 23), (5, 3))
        for block in range(1, blocks + 1)
        for conv in _CONVOLUTIONS
    ),
    *(f"aspp.c{i}.weight" for i in range(len(RATES))),
)


def _identify(tensors: Tensors) -> Identity | None:
    if not has_kernels(tensors, _NAMES) or count_blocks(tensors, "layer4.block") != 23:
        return None
    # The files are of networks that were trained at three scales and can be used at one.
    fields = {"num_classes": len(tensors["aspp.c0.weight"]), "multi_scale": False}
    return Identity("deeplab_v2_resnet101_caffe", fields)


def _convert(tensors: Tensors, model: SegmentationNetwork) -> dict[str, Any]:
    converted = {**tensors, _FIRST: for_rgb(tensors[_FIRST])}
    return import_variables(converted, variable_shapes(model), _source)


def _source(path: Leaf) -> str:
    """Return the published name: backbone/res3_block1/bn2/var is layer3.block1.conv3x3.bn...."""
    _, *layers, leaf = path
    match layers:
        case ["aspp", rate]:
            name = f"aspp.c{RATES.index(int(rate.removeprefix('rate')))}"
        case ["backbone", layer]:
            name = f"layer1.conv1.{_kind(layer)}"
        case [_, block, layer]:
            stage, number = re.findall(r"\d+", block)
            digit = layer[-1]
            conv = _CONVOLUTIONS[int(digit) - 1] if digit.isdigit() else "shortcut"
            name = f"layer{stage}.block{number}.{conv}.{_kind(layer)}"
    return f"{name}.{LEAVES[leaf]}"


def _kind(layer: str) -> str:
    return "bn" if "bn" in layer else "conv"


FAMILIES = (
    Family(
        title="DeepLab-v2 of kazuto1011/deeplab-pytorch",
        identify=_identify,
        convert=_convert,
        mean=(122.675, 116.669, 104.008),
        std=(1.0, 1.0, 1.0),
        licence="MIT (the code's; the files name none of their own)",
        homepage="https://github.com/kazuto1011/deeplab-pytorch",
        names=_NAMES,
    ),
)
