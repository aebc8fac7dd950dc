"""FCN of wkentaro/pytorch-fcn: VGG-16 by the names of the Caffe originals, for images in BGR."""

from typing import Any

import numpy as np

from gcn_jax.models.backbones.vgg import STAGES
from gcn_jax.models.fcn import FCN
from gcn_jax.models.network import SegmentationNetwork, variable_shapes
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables
from gcn_jax.weights.published.family import Family, Identity, Tensors, for_rgb, has_kernels
from gcn_jax.weights.published.upsampling import as_convolution, is_bilinear

#: The convolutions of VGG-16: (stage, number).
_CONVOLUTIONS = [(s, i) for s, (count, _) in enumerate(STAGES, 1) for i in range(1, count + 1)]

_FIRST = "conv1_1.weight"
_NAMES = (
    *(f"conv{stage}_{number}.weight" for stage, number in _CONVOLUTIONS),
    "fc6.weight",
    "fc7.weight",
    "score_fr.weight",
)

#: Stride of the finest scores -> the kernels of the deconvolutions.
_UPSAMPLINGS = {
    32: ("upscore.weight",),
    16: ("upscore2.weight", "upscore16.weight"),
    8: ("upscore2.weight", "upscore_pool4.weight", "upscore8.weight"),
}


def _identify(tensors: Tensors) -> Identity | None:
    if not has_kernels(tensors, _NAMES):
        return None
    stride = 32
    if "score_pool4.weight" in tensors:
        stride = 8 if "score_pool3.weight" in tensors else 16
    fields: dict[str, Any] = {"num_classes": len(tensors["score_fr.weight"])}
    width = len(tensors[_FIRST]) / STAGES[0][1]
    if width != 1:
        fields["width"] = width
    kernels = (tensors[name] for name in _UPSAMPLINGS[stride] if name in tensors)
    if not all(map(is_bilinear, kernels)):
        fields["learn_upsampling"] = True
    return Identity(f"fcn{stride}s_vgg16", fields)


def _convert(tensors: Tensors, model: SegmentationNetwork) -> dict[str, Any]:
    assert isinstance(model, FCN)
    converted = {**tensors, _FIRST: for_rgb(tensors[_FIRST])}
    for name in {*_UPSAMPLINGS[model.stride]} & {*converted}:
        kernel = converted[name]
        if not model.learn_upsampling and is_bilinear(kernel):
            del converted[name]  # the network interpolates without one
        elif kernel.ndim == 4:
            converted[name] = as_convolution(kernel)
    return import_variables(converted, variable_shapes(model), _source)


def _source(path: Leaf) -> str:
    """Return the published name: backbone/stage1/conv2/kernel is conv1_2.weight."""
    _, *layers, leaf = path
    match layers:
        case ["backbone", stage, conv]:
            name = f"conv{stage.removeprefix('stage')}_{conv.removeprefix('conv')}"
        case ["upscore32"]:
            name = "upscore"
        case _:
            name = layers[-1]
    return f"{name}.{LEAVES[leaf]}"


def _identify_at_once(tensors: Tensors) -> Identity | None:
    identity = _identify(tensors)
    return identity if identity and identity.network == "fcn8s_vgg16" else None


def _convert_at_once(tensors: Tensors, model: SegmentationNetwork) -> dict[str, Any]:
    """Put the constants by which this network multiplies pool4 and pool3 into their kernels."""
    scaled = {
        f"{layer}.weight": np.float32(factor) * tensors[f"{layer}.weight"]
        for layer, factor in (("score_pool4", 0.01), ("score_pool3", 0.0001))
    }
    return _convert({**tensors, **scaled}, model)


_FAMILY = Family(
    title="FCN of wkentaro/pytorch-fcn",
    identify=_identify,
    convert=_convert,
    mean=(122.67891434, 116.66876762, 104.00698793),
    std=(1.0, 1.0, 1.0),
    licence="MIT (the code's; the files name none of their own)",
    homepage="https://github.com/wkentaro/pytorch-fcn",
    names=_NAMES,
)

FAMILIES = (
    _FAMILY,
    _FAMILY._replace(
        title="FCN-8s at once of wkentaro/pytorch-fcn",
        identify=_identify_at_once,
        convert=_convert_at_once,
        only_as="fcn8s_atonce_vgg16",
    ),
)
