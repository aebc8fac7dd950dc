"""Weights of ConvNeXt as timm, torchvision, transformers and its authors publish them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gcn_jax.models.backbones.convnext import ConvNeXt
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables, with_beginning
from gcn_jax.weights.pinned import Pinned, torchvision_file

#: Of torchvision's files of ImageNet weights (`IMAGENET1K_V1`); of two, their first eight digits.
_SHA256 = {
    "convnext_tiny": "983f1562536e84ff750a1576fb08e54de751dbf2e17c0d8a4a13704341fdcd3d",
    "convnext_small": "0c510722adfd92966a2bd72b92f785ca05966bbac03cafe2f7a90b1f54bfab9a",
    "convnext_base": "6075fbad",
    "convnext_large": "ea097f82",
}

#: Architectures, by timm's names -> torchvision's file of ImageNet weights, if there is one.
ARCHITECTURES: Mapping[str, Pinned] = {
    **{name: torchvision_file(name, sha256) for name, sha256 in _SHA256.items()},
    "convnext_xlarge": Pinned("hf://timm/convnext_xlarge.fb_in22k_ft_in1k"),
}

#: The first convolution, by its names in published files: what is before it is a prefix.
FIRST_LAYERS = ("stem.0", "features.0.0", "embeddings.patch_embeddings", "downsample_layers.0.0")

#: Beginnings of names -> timm's, those of torchvision, transformers and the authors.
_PLACES: Sequence[tuple[str, str | Callable[[re.Match], str]]] = (
    (r"features\.0\.", "stem."),
    (r"features\.([246])\.", lambda m: f"stages.{int(m[1]) // 2}.downsample."),
    (r"features\.([1357])\.(\d+)\.(block\.)?", lambda m: f"stages.{int(m[1]) // 2}.blocks.{m[2]}."),
    (r"classifier\.0\.", "head.norm."),
    (r"classifier\.2\.", "head.fc."),
    (r"embeddings\.patch_embeddings\.", "stem.0."),
    (r"embeddings\.layernorm\.", "stem.1."),
    (r"encoder\.stages\.(\d)\.downsampling_layer\.", r"stages.\1.downsample."),
    (r"encoder\.stages\.(\d)\.layers\.", r"stages.\1.blocks."),
    (r"hidden_states_norms\.stage(\d)\.", r"norms.\1."),
    (r"layernorm\.", "head.norm."),
    (r"classifier\.", "head.fc."),
    (r"downsample_layers\.0\.", "stem."),
    (r"downsample_layers\.(\d)\.", r"stages.\1.downsample."),
    (r"stages\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"norm\.", "head.norm."),
    (r"head\.(?=weight|bias)", "head.fc."),
)
_BLOCK = re.compile(r"(stages\.\d\.blocks\.\d+\.)(\w+)")
_BLOCK_LAYERS = {
    **{"0": "conv_dw", "2": "norm", "3": "mlp.fc1", "5": "mlp.fc2", "layer_scale": "gamma"},
    **{"dwconv": "conv_dw", "layernorm": "norm", "pwconv1": "mlp.fc1", "pwconv2": "mlp.fc2"},
    "layer_scale_parameter": "gamma",
}

#: Our layer of a block -> timm's.
_LAYERS = {"depthwise": "conv_dw", "norm": "norm", "expand": "mlp.fc1", "reduce": "mlp.fc2"}
_OTHERS = {
    "stem_conv": "stem.0",
    "stem_norm": "stem.1",
    "logits_norm": "head.norm",
    "logits": "head.fc",
}


def import_convnext(
    state_dict: Mapping[str, np.ndarray], model: ConvNeXt, excepted: Sequence[str] = ()
) -> dict[str, Any]:
    """Convert the weights of a ConvNeXt.

    Example:
        >>> model = ConvNeXt("tiny")
        >>> variables = import_convnext(state_dict, model)
        >>> features = model.apply(variables, images)["res5"]

    Args:
        state_dict: Tensor name to array in PyTorch's layout, by the names of timm, torchvision,
            transformers or the authors.
        model: What the weights are for. Without `num_classes` the classifier is left out, and so
            are the norms of the features where the file has none.
        excepted: Layers that are left out; see `import_variables`.

    Returns:
        Variables of `model`: float32 params.

    Raises:
        UserError: If names or shapes differ; the message lists how, by timm's names.
    """
    tensors = timm_tensors(state_dict)
    if model.num_classes is None:
        tensors = {k: v for k, v in tensors.items() if not k.startswith("head.")}
    if model.norm_features and not any(name.startswith("norms.") for name in tensors):
        excepted = (*excepted, "norm[2-5]")
    return import_variables(tensors, variable_shapes(model), convnext_source, excepted)


def timm_tensors(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give tensors timm's names, layers over channels the shape of convolutions, scales one axis.

    Norms of features, which timm has none of, are called "norms.1" to "norms.4".

    Args:
        state_dict: Tensor name to array in PyTorch's layout, without a prefix.
    """
    tensors = {}
    for name, array in state_dict.items():
        name = _timm_name(name)
        if name.endswith("gamma"):
            array = np.reshape(array, -1)
        elif np.ndim(array) == 2 and not name.startswith("head."):
            array = array[:, :, None, None]
        tensors[name] = array
    return tensors


def _timm_name(name: str) -> str:
    name = with_beginning(name, _PLACES)
    return _BLOCK.sub(lambda m: m[1] + _BLOCK_LAYERS.get(m[2], m[2]), name)


def convnext_source(path: Leaf) -> str:
    """Return timm's name: res3_block1/expand/kernel is stages.1.blocks.0.mlp.fc1.weight."""
    _, *layers, leaf = path
    place = re.fullmatch(r"res(\d)_(?:downsample|block(\d+))", layers[0])
    if place and place[2]:
        block = f"stages.{int(place[1]) - 2}.blocks.{int(place[2]) - 1}"
        if leaf == "layer_scale":
            return f"{block}.gamma"
        name = f"{block}.{_LAYERS[layers[1]]}"
    elif place:
        name = f"stages.{int(place[1]) - 2}.downsample.{('norm', 'conv').index(layers[1])}"
    elif norm := re.fullmatch(r"norm(\d)", layers[0]):
        name = f"norms.{int(norm[1]) - 1}"
    else:
        name = _OTHERS[layers[0]]
    return f"{name}.{LEAVES[leaf]}"
