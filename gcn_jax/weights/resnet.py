"""Weights of ResNets as torchvision and timm publish them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gcn_jax.models.backbones.resnet import VARIANTS, ResNet
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables
from gcn_jax.weights.pinned import Pinned, torchvision_file

#: Of torchvision's files of ImageNet weights (`IMAGENET1K_V1`).
_SHA256 = {
    "resnet18": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "resnet34": "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    "resnet50": "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    "resnet101": "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
    "resnet152": "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58",
}

#: Architectures, by timm's names -> ImageNet weights: torchvision's file, or timm's of PSPNet's.
ARCHITECTURES: Mapping[str, Pinned] = {
    **{name: torchvision_file(name, sha256) for name, sha256 in _SHA256.items()},
    "resnet50s": Pinned("hf://timm/resnet50s.gluon_in1k"),
    "resnet101s": Pinned("hf://timm/resnet101s.gluon_in1k"),
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
