"""FCN, DeepLab-LargeFOV and SegNet as their authors publish them, in files of Caffe.

Tensors are called as `read_caffemodel` calls them: "conv1_1/0" is the kernel of layer conv1_1 and
"conv1_1/1" its bias. These networks see images in BGR; the channels of the first kernel are turned,
so that ours see RGB.

A file does not say everything: FCN's for NYUDv2 (40 classes; color, HHA) look like those for VOC,
and have another mean; a snapshot of SegNet from training looks like a published file, and the
statistics of its batch-norms are not in it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.vgg import STAGES, scaled
from gcn_jax.models.fcn import FCN
from gcn_jax.models.layers.norm import EPSILON
from gcn_jax.models.network import SegmentationNetwork, variable_shapes
from gcn_jax.weights.matching import Leaf, import_variables
from gcn_jax.weights.published.family import Family, Identity, Tensors, for_rgb
from gcn_jax.weights.published.upsampling import as_convolution, is_bilinear
from gcn_jax.weights.vgg import dense_as_convolution

#: The layers of VGG-16: (stage, convolution) -> Caffe's name.
_CONVOLUTIONS: dict[tuple[str, ...], str] = {
    (f"stage{stage}", f"conv{i}"): f"conv{stage}_{i}"
    for stage, (count, _) in enumerate(STAGES, start=1)
    for i in range(1, count + 1)
}
_VGG = {*_CONVOLUTIONS.values(), "fc6", "fc7", "fc8"}
_KERNELS = tuple(f"{layer}/0" for layer in _CONVOLUTIONS.values())

#: SegNet's decoder counts down: its last layer, conv1_1_D, scores the classes.
_DECODER: dict[tuple[str, ...], str] = {
    (f"decoder{stage}", f"conv{i}"): f"conv{stage}_{count - i + 1}_D"
    for stage, (count, _) in enumerate(STAGES, start=1)
    for i in range(1, count + 1)
}

#: Path of a layer here -> Caffe's name; others are called alike.
_LAYERS: dict[tuple[str, ...], str] = {
    **{("backbone", *path): name for path, name in _CONVOLUTIONS.items()},
    **_DECODER,
    ("backbone", "fc6"): "fc6",
    ("backbone", "fc7"): "fc7",
    ("upscore32",): "upscore",
}

#: Flax leaf -> number of the blob. Caffe's SegNet keeps no statistics: they are added.
_BLOBS = {"kernel": "0", "scale": "0", "bias": "1", "mean": "mean", "var": "var"}

#: FCN's deconvolutions, and the Scale layers of "at once" -> what scores their outputs.
_UPSCORES = ("upscore", "upscore2", "upscore_pool4", "upscore16", "upscore8")
_SCALES = {"scale_pool3": "score_pool3", "scale_pool4": "score_pool4"}


# --------------------------------------------------------------------------------------------- FCN
def _identify_fcn(tensors: Tensors) -> Identity | None:
    """Name FCN by its score layers; its kernels tell whether upsampling was learned.

    Raises:
        UserError: The tensors are those of VGG-16 and no more.
    """
    _refuse_vgg(tensors)
    fields = _fields(tensors, "score_fr", "fc7")
    if fields is None:
        return None
    stride = 8 if "score_pool3/0" in tensors else 16 if "score_pool4/0" in tensors else 32
    if _learned_upscores(tensors):
        fields["learn_upsampling"] = True
    return Identity(f"fcn{stride}s_vgg16", fields)


def _convert_fcn(tensors: Tensors, model: SegmentationNetwork) -> dict[str, Any]:
    """Fold the scales of "at once" into the scores that follow, and flip the deconvolutions."""
    arrays = dict(tensors)
    for scale, score in _SCALES.items():
        factors, kernel = arrays.get(f"{scale}/0"), arrays.get(f"{score}/0")
        if factors is None or kernel is None or kernel.ndim != 4:
            continue
        if factors.shape == kernel.shape[1:2]:
            arrays[f"{score}/0"] = kernel * arrays.pop(f"{scale}/0")[:, None, None]
    for layer, size in (("fc6", 7), ("fc7", 1)):
        if f"{layer}/0" in arrays:
            arrays[f"{layer}/0"] = dense_as_convolution(arrays[f"{layer}/0"], size)
    learn = isinstance(model, FCN) and model.learn_upsampling
    learned = _learned_upscores(tensors)
    for layer in _UPSCORES:
        name = f"{layer}/0"
        if name in arrays and not learn and layer not in learned:
            del arrays[name]  # bilinear interpolation has no parameters
        elif name in arrays and arrays[name].ndim == 4:
            arrays[name] = as_convolution(arrays[name])
    return _convert(arrays, model)


def _learned_upscores(tensors: Tensors) -> list[str]:
    """Return the deconvolutions that are not bilinear interpolation of each class by itself."""
    return [
        layer
        for layer in _UPSCORES
        if f"{layer}/0" in tensors and not is_bilinear(tensors[f"{layer}/0"])
    ]


# -------------------------------------------------------------------------------- DeepLab-LargeFOV
def _identify_largefov(tensors: Tensors) -> Identity | None:
    """Name DeepLab-LargeFOV by its fc6, 1024 kernels of 3 x 3, and its one layer fc8_..."""
    scores = _largefov_scores(tensors)
    fields = _fields(tensors, *scores, "fc6") if len(scores) == 1 else None
    if fields is None:
        return None
    outputs, inputs = (scaled(channels, fields.get("width", 1)) for channels in (1024, 512))
    if tensors["fc6/0"].shape != (outputs, inputs, 3, 3):
        return None
    return Identity("deeplab_largefov", fields)


def _convert_largefov(tensors: Tensors, model: SegmentationNetwork) -> dict[str, Any]:
    scores = _largefov_scores(tensors)
    return _convert(tensors, model, {("fc8",): scores[0] if len(scores) == 1 else "fc8_..."})


def _largefov_scores(tensors: Tensors) -> list[str]:
    """Return the layers whose name is fc8 with an ending, that of the experiment."""
    return [name[:-2] for name in tensors if name.startswith("fc8_") and name.endswith("/0")]


# ------------------------------------------------------------------------------------------ SegNet
def _identify_segnet(tensors: Tensors) -> Identity | None:
    fields = _fields(tensors, "conv1_1_D", "conv5_3_D")
    return None if fields is None else Identity("segnet", fields)


def _convert_segnet(tensors: Tensors, model: SegmentationNetwork) -> dict[str, Any]:
    """Give batch-norms, which here are scale and shift, the statistics that change nothing."""
    arrays = dict(tensors)
    for name, array in tensors.items():
        layer, _, blob = name.rpartition("/")
        if not layer.endswith("_bn"):
            continue
        if array.ndim == 4 and array.size == array.shape[1]:
            arrays[name] = array = array.reshape(-1)
        if blob == "0":
            arrays[f"{layer}/mean"] = np.zeros(array.shape, np.float32)
            arrays[f"{layer}/var"] = np.full(array.shape, 1 - EPSILON, np.float32)
    return _convert(arrays, model, {("score",): "conv1_1_D"})


# ---------------------------------------------------------------------------------------- all three
def _convert(
    tensors: Tensors,
    model: SegmentationNetwork,
    names: dict[tuple[str, ...], str] | None = None,
) -> dict[str, Any]:
    """Turn the first kernel to RGB, and fill the network by Caffe's names of layers."""
    arrays = dict(tensors)
    first = arrays.get("conv1_1/0")
    if first is not None and first.ndim == 4:
        arrays["conv1_1/0"] = for_rgb(first)
    return import_variables(arrays, variable_shapes(model), _source({**_LAYERS, **(names or {})}))


def _source(names: dict[tuple[str, ...], str]) -> Callable[[Leaf], str]:
    """Return what gives Caffe's name: backbone/stage1/conv2/kernel is conv1_2/0."""

    def source(path: Leaf) -> str:
        _, *layers, leaf = path
        *stage, layer = layers
        if layer.startswith("bn"):
            convolution = *stage, layer.replace("bn", "conv")
            return f"{names.get(convolution, '/'.join(layers))}_bn/{_BLOBS[leaf]}"
        return f"{names.get(tuple(layers), '/'.join(layers))}/{_BLOBS[leaf]}"

    return source


def _fields(tensors: Tensors, score: str, *layers: str) -> dict[str, Any] | None:
    """Read the fields of a network on VGG-16 from shapes.

    Args:
        tensors: The tensors.
        score: The layer that scores the classes.
        layers: Others that the network has, convolutions or dense layers.

    Returns:
        The number of classes, and the width where it is not 1; None if a layer is not there.
    """
    first, last = (tensors.get(f"{layer}/0", np.zeros(0)) for layer in ("conv1_1", score))
    others = (tensors.get(f"{layer}/0", np.zeros(0)) for layer in layers)
    if first.ndim != 4 or last.ndim != 4 or any(other.ndim < 2 for other in others):
        return None
    fields: dict[str, Any] = {"num_classes": len(last)}
    if len(first) != STAGES[0][1]:
        fields["width"] = len(first) / STAGES[0][1]
    return fields


def _refuse_vgg(tensors: Tensors) -> None:
    layers = {name.rpartition("/")[0] for name in tensors}
    if "conv5_3" in layers and layers <= _VGG:
        raise UserError(
            "these are weights of VGG-16 alone, which is a backbone and no network; a network "
            "starts from torchvision's or timm's file of it, by backbone_weights"
        )


FAMILIES: tuple[Family, ...] = (
    Family(
        title="FCN on VGG-16, Caffe (shelhamer/fcn.berkeleyvision.org)",
        identify=_identify_fcn,
        convert=_convert_fcn,
        mean=(122.67891434, 116.66876762, 104.00698793),
        std=(1.0, 1.0, 1.0),
        licence="unrestricted use (BVLC model license)",
        homepage="https://github.com/shelhamer/fcn.berkeleyvision.org",
        names=(*_KERNELS, "fc6/0", "fc7/0", "score_fr/0"),
    ),
    Family(
        title="DeepLab-LargeFOV on VGG-16, Caffe",
        identify=_identify_largefov,
        convert=_convert_largefov,
        mean=(122.675, 116.669, 104.008),
        std=(1.0, 1.0, 1.0),
        licence="not known",
        homepage="http://liangchiehchen.com/projects/DeepLab_Models.html",
        names=(*_KERNELS, "fc6/0", "fc7/0"),
    ),
    Family(
        title="SegNet, Caffe (alexgkendall/SegNet-Tutorial)",
        identify=_identify_segnet,
        convert=_convert_segnet,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        licence="CC BY-NC 4.0: personal and research use",
        homepage="https://github.com/alexgkendall/SegNet-Tutorial",
        names=(*_KERNELS, *(f"{layer}/0" for layer in _DECODER.values())),
    ),
)
