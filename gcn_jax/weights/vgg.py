"""Weights of VGG-16 as torchvision and timm publish them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gcn_jax.models.backbones.vgg import STAGES, VGG16
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables
from gcn_jax.weights.pinned import Pinned, torchvision_file

#: Of torchvision's files of ImageNet weights (`IMAGENET1K_V1`).
_SHA256 = {
    "vgg16": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    "vgg16_bn": "6c64b3138f2f4fcb3bcc4cafde11619c4f440eb1631787e93a682fd88305888a",
}

#: Architectures, by timm's names -> torchvision's file of ImageNet weights, if there is one.
ARCHITECTURES: Mapping[str, Pinned] = {
    name: torchvision_file(name, sha256) for name, sha256 in _SHA256.items()
}

#: The first convolution, by its name in published files: what is before it is a prefix.
FIRST_LAYERS = ("features.0",)

#: Dense layer of VGG-16, by torchvision's or timm's name -> the convolution that it becomes, its
#: kernel size, and what DeepLab-LargeFOV takes of it: every such output, input, row and column.
VGG_DENSE_LAYERS = {
    "classifier.0": ("fc6", 7, (4, 1, 3, 3)),
    "classifier.3": ("fc7", 1, (4, 4, 1, 1)),
    "pre_logits.fc1": ("fc6", 7, (4, 1, 3, 3)),
    "pre_logits.fc2": ("fc7", 1, (4, 4, 1, 1)),
}


def import_vgg(
    state_dict: Mapping[str, np.ndarray], model: VGG16, excepted: Sequence[str] = ()
) -> dict[str, Any]:
    """Convert the weights of torchvision's or timm's `vgg16` or `vgg16_bn` for a backbone.

    Its classifier is left out, and so are fc6 and fc7 where the backbone has none (SegNet's). As
    convolutions they keep their weights: fc6 reads the 7 x 7 features in the order (channel, row,
    column). DeepLab-LargeFOV decimates them: of fc6 it takes every third tap, which in VGG-16 are
    3 * 32 = 96 pixels apart, as are its own at a dilation of 12 and stride 8; of fc6 and fc7 it
    takes every fourth channel.

    Args:
        state_dict: Tensor name, such as "features.0.weight", to array in PyTorch's layout.
        model: What the weights are for: those of `vgg16_bn` if it has batch-norm.
        excepted: Layers that are left out; see `import_variables`.

    Returns:
        Variables of `model`: float32 params and, with batch-norm, batch_stats.

    Raises:
        UserError: If names or shapes differ; the message lists how.
    """
    target = variable_shapes(model)
    dense = {name: leaves for name, leaves in target["params"].items() if name in ("fc6", "fc7")}
    decimated = dense and dense["fc6"]["kernel"].shape[0] == 3
    tensors = {}
    for name, array in state_dict.items():
        layer, _, leaf = name.rpartition(".")
        if layer in VGG_DENSE_LAYERS:
            layer, size, steps = VGG_DENSE_LAYERS[layer]
            if layer in dense:
                array = dense_as_convolution(array, size)
                tensors[f"{layer}.{leaf}"] = _every(array, steps) if decimated else array
        elif layer not in ("classifier.6", "head.fc"):
            tensors[name] = array
    return import_variables(tensors, target, _vgg_source(model.batch_norm), excepted)


def dense_as_convolution(array: np.ndarray, size: int) -> np.ndarray:
    """Reshape `[out, in]` to `[out, C, size, size]`; a bias or a convolution stays.

    Args:
        array: Weights of a dense layer over features in the order (channel, row, column).
        size: Height and width of these features.
    """
    if array.ndim == 2 and array.shape[1] % size**2 == 0:
        return array.reshape(len(array), -1, size, size)
    return array


def _every(array: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Take every so many elements of each axis."""
    return array[tuple(slice(None, None, step) for step in steps[: array.ndim])]


def _vgg_source(with_batch_norm: bool) -> Callable[[Leaf], str]:
    """Return what gives torchvision's name: stage2/conv1/kernel is features.5.weight."""
    names: dict[tuple[str, ...], str] = {}
    index = 0
    for number, (count, _) in enumerate(STAGES, start=1):
        for i in range(1, count + 1):
            names[f"stage{number}", f"conv{i}"] = f"features.{index}"
            names[f"stage{number}", f"bn{i}"] = f"features.{index + 1}"
            index += 3 if with_batch_norm else 2  # the last one is the ReLU
        index += 1  # the pooling

    def source(path: Leaf) -> str:
        _, *layers, leaf = path
        return f"{names.get(tuple(layers), layers[0])}.{LEAVES[leaf]}"

    return source
