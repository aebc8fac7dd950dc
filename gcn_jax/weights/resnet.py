"""Weights of ResNets as torchvision and timm publish them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gcn_jax.models.backbones.resnet import VARIANTS, ResNet
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables

#: Architectures, by timm's names -> torchvision's file of ImageNet weights, if there is one.
ARCHITECTURES: Mapping[str, str | None] = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet34": "https://download.pytorch.org/models/resnet34-b627a593.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "resnet101": "https://download.pytorch.org/models/resnet101-63fe2227.pth",
    "resnet152": "https://download.pytorch.org/models/resnet152-394f9c45.pth",
    "resnet50s": None,
    "resnet101s": None,
}

#: The first convolution, by its names in published files: what is before it is a prefix.
FIRST_LAYERS = ("conv1", "conv1.0")

#: Layer of our ResNet -> of torchvision's (the deep stem: of timm's), where the names differ.
RESNET_LAYERS = {
    "shortcut_conv": "downsample.0",
    "shortcut_bn": "downsample.1",
    "logits": "fc",
    "conv1_1": "conv1.0",
    "bn1_1": "conv1.1",
    "conv1_2": "conv1.3",
    "bn1_2": "conv1.4",
    "conv1_3": "conv1.6",
    "bn1_3": "bn1",
}


def import_resnet(
    state_dict: Mapping[str, np.ndarray], model: ResNet, excepted: Sequence[str] = ()
) -> dict[str, Any]:
    """Convert the weights of a torchvision ResNet (timm's plain ResNets have the same names).

    Example:
        >>> model = ResNet(depth=50)
        >>> variables = import_resnet(state_dict, model)
        >>> features = model.apply(variables, images)["res5"]

    Args:
        state_dict: Tensor name, such as "layer2.0.conv1.weight", to array in PyTorch's layout.
        model: What the weights are for. Without `num_classes` the classifier `fc.*` is left out, so
            that the published weights fit a backbone as they are.
        excepted: Layers that are left out; see `import_variables`.

    Returns:
        Variables of `model`: float32 params and batch_stats.

    Raises:
        UserError: If names or shapes differ; the message lists how.
    """
    if model.num_classes is None:
        state_dict = {k: v for k, v in state_dict.items() if not k.startswith("fc.")}
    return import_variables(state_dict, variable_shapes(model), resnet_source, excepted)


def last_kernels(prefix: str = "") -> tuple[str, ...]:
    """Return torchvision's names of the last kernels of ResNet-50's blocks.

    Deeper ones of the kind have them, too.

    Args:
        prefix: What is before them, such as "backbone.".
    """
    return tuple(
        f"{prefix}layer{stage}.{i}.conv3.weight"
        for stage, blocks in enumerate(VARIANTS[50][1], start=1)
        for i in range(blocks)
    )


def resnet_source(path: Leaf) -> str:
    """Return torchvision's name: res3_block1/conv2/kernel is layer2.0.conv2.weight."""
    _, *layers, leaf = path
    return ".".join([*map(_resnet_layer, layers), LEAVES[leaf]])


def _resnet_layer(name: str) -> str:
    if block := re.fullmatch(r"res(\d)_block(\d+)", name):
        level, number = map(int, block.groups())
        return f"layer{level - 1}.{number - 1}"
    return RESNET_LAYERS.get(name, name)
