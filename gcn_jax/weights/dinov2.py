"""Weights of DINOv2 as transformers, its authors and timm publish them.

They are `hf://facebook/dinov2-small`, `dinov2_vits14_pretrain.pth` and
`hf://timm/vit_small_patch14_dinov2.lvd142m`, and their relatives.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gcn_jax.models.backbones.dinov2 import GRID, PUBLISHED, DINOv2
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights.matching import (
    LEAVES,
    Leaf,
    as_convolutions,
    import_variables,
    with_beginning,
)
from gcn_jax.weights.pinned import Pinned

#: Architectures, by the names of the registry. They were not trained on ImageNet: their weights are
#: "hf://facebook/dinov2-small" and so on.
ARCHITECTURES: Mapping[str, Pinned | None] = {f"dinov2_{variant}": None for variant in PUBLISHED}

#: Of those weights.
LICENCE = "Apache-2.0"

#: The first convolution, by its names in published files: what is before it is a prefix.
FIRST_LAYERS = ("embeddings.patch_embeddings.projection", "patch_embed.proj")

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

#: Beginnings of the names of the authors and of timm -> transformers'.
_PLACES = (
    (r"cls_token$", _TOKENS["cls"]),
    (r"reg(ister)?_tokens?$", _TOKENS["registers"]),
    (r"pos_embed$", _TOKENS["positions"]),
    (r"mask_token$", _MASK),
    (r"patch_embed\.proj\.", f"{FIRST_LAYERS[0]}."),
    (r"blocks\.(\d+)\.attn\.proj\.", r"encoder.layer.\1.attention.output.dense."),
    (r"blocks\.(\d+)\.ls([12])\.gamma", r"encoder.layer.\1.layer_scale\2.lambda1"),
    (r"blocks\.(\d+)\.", r"encoder.layer.\1."),
    (r"norm\.", "layernorm."),
)
_JOINED = re.compile(r"blocks\.(\d+)\.attn\.qkv\.(weight|bias)")


def import_dinov2(
    state_dict: Mapping[str, np.ndarray], model: DINOv2, excepted: Sequence[str] = ()
) -> dict[str, Any]:
    """Convert the weights of a vision transformer of DINOv2.

    Args:
        state_dict: Tensor name to array in PyTorch's layout, by the names of transformers'
            `Dinov2Model` and `Dinov2WithRegistersModel`, of the authors or of timm.
        model: What the weights are for.
        excepted: Layers that are left out; see `import_variables`.

    Returns:
        Variables of `model`: float32 params.

    Raises:
        UserError: If names or shapes differ; the message lists how, by transformers' names.
    """
    tensors = as_convolutions(_transformers_tensors(state_dict))
    tensors.pop(_MASK, None)
    for name in _TOKENS.values():
        if name in tensors and tensors[name].ndim == 3:
            tensors[name] = tensors[name][0].T  # as a linear layer, which is transposed
    positions = tensors.get(_TOKENS["positions"])
    if positions is not None and positions.shape[1:] == (GRID**2,):
        # timm adds the class token's to the token, where there are registers.
        tensors[_TOKENS["positions"]] = np.pad(positions, [(0, 0), (1, 0)])
    return import_variables(tensors, variable_shapes(model), dinov2_source, excepted)


def _transformers_tensors(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give tensors transformers' names, which has query, key and value apart."""
    tensors = {}
    for name, array in state_dict.items():
        if joined := _JOINED.fullmatch(name):
            before = f"encoder.layer.{joined[1]}.attention.attention."
            parts = np.array_split(array, 3)
            for layer, part in zip(("query", "key", "value"), parts, strict=True):
                tensors[f"{before}{layer}.{joined[2]}"] = part
            continue
        tensors[with_beginning(name, _PLACES)] = array
    return tensors


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
