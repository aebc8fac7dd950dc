"""Weights of ResNets as torchvision and timm publish them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gcn_jax.models.backbones.resnet import ResNet
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables

#: Architectures, by timm's names.
ARCHITECTURES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet50s",
    "resnet101s",
)

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
    return import_variables(state_dict, variable_shapes(model), torchvision_name, excepted)


def torchvision_name(path: Leaf) -> str:
    """Return torchvision's name: res3_block1/conv2/kernel is layer2.0.conv2.weight."""
    _, *layers, leaf = path
    return ".".join([*map(_resnet_layer, layers), LEAVES[leaf]])


def _resnet_layer(name: str) -> str:
    if block := re.fullmatch(r"res(\d)_block(\d+)", name):
        level, number = map(int, block.groups())
        return f"layer{level - 1}.{number - 1}"
    return RESNET_LAYERS.get(name, name)
