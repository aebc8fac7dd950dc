"""Weights of DINOv2 as transformers publishes them, such as hf://facebook/dinov2-small."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gcn_jax.models.backbones.dinov2 import PUBLISHED, DINOv2
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights.matching import LEAVES, Leaf, as_convolutions, import_variables

#: Architectures, by the names of the registry. They were not trained on ImageNet: their weights are
#: "hf://facebook/dinov2-small" and so on.
ARCHITECTURES: Mapping[str, str | None] = {f"dinov2_{variant}": None for variant in PUBLISHED}

#: Of those weights.
LICENCE = "Apache-2.0"

#: The first convolution, by its name in published files: what is before it is a prefix.
FIRST_LAYERS = ("embeddings.patch_embeddings.projection",)

#: Our layer of a block -> theirs.
_LAYERS = {
    "norm1": "norm1",
    "query": "attention.attention.query",
    "key": "attention.attention.key",
    "value": "attention.attention.value",
    "out": "attention.output.dense",
    "norm2": "norm2",
    "expand": "mlp.fc1",
    "project": "mlp.fc2",
}

#: Our parameters that are of no layer -> theirs, `[1, ..., C]`.
_TOKENS = {
    "cls": "embeddings.cls_token",
    "registers": "embeddings.register_tokens",
    "positions": "embeddings.position_embeddings",
}

#: What is of use in training by DINOv2's own task alone.
_MASK = "embeddings.mask_token"


def import_dinov2(
    state_dict: Mapping[str, np.ndarray], model: DINOv2, excepted: Sequence[str] = ()
) -> dict[str, Any]:
    """Convert the weights of transformers' `Dinov2Model` or `Dinov2WithRegistersModel`.

    Args:
        state_dict: Tensor name, such as "encoder.layer.0.mlp.fc1.weight", to array in PyTorch's
            layout.
        model: What the weights are for.
        excepted: Layers that are left out; see `import_variables`.

    Returns:
        Variables of `model`: float32 params.

    Raises:
        UserError: If names or shapes differ; the message lists how.
    """
    tensors = {name: array for name, array in state_dict.items() if name != _MASK}
    tensors = as_convolutions(tensors)
    for name in _TOKENS.values():
        if name in tensors and tensors[name].ndim == 3:
            tensors[name] = tensors[name][0].T  # as a linear layer, which is transposed
    return import_variables(tensors, variable_shapes(model), dinov2_source, excepted)


def dinov2_source(path: Leaf) -> str:
    """Return transformers' name: block2/expand/kernel is encoder.layer.1.mlp.fc1.weight."""
    _, first, *layers = path
    if first in _TOKENS:
        return _TOKENS[first]
    if block := re.fullmatch(r"block(\d+)", first):
        before = f"encoder.layer.{int(block[1]) - 1}."
        if scale := re.fullmatch(r"layer_scale(\d)", layers[0]):
            return f"{before}layer_scale{scale[1]}.lambda1"
        return f"{before}{_LAYERS[layers[0]]}.{LEAVES[layers[-1]]}"
    layer = "layernorm" if first == "norm" else FIRST_LAYERS[0]
    return f"{layer}.{LEAVES[layers[-1]]}"
