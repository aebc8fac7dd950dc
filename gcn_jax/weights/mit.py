"""Weights of MiT as transformers publishes them, such as hf://nvidia/mit-b0."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gcn_jax.models.backbones.mit import PUBLISHED, MiT
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights.matching import LEAVES, Leaf, as_convolutions, import_variables
from gcn_jax.weights.pinned import Pinned

#: Commit of nvidia/mit-b0 and so on that has the weights as safetensors, and their SHA-256.
_COMMITS = {
    "b0": (
        "25ce79d97e6d9d509ed12e17cb2eb89b0a83a2dc",
        "3e5ad9cd1dd8ecf8305c23fcdf01ef241f08c7b2dddacb6ec7de5a887188798a",
    ),
    "b1": (
        "44575a0572f5374ed1e5b4e46ec8276222f6ffe8",
        "4c19537dff32bbaa876174c371759ac1046c980bbf8096273bb03261429bdce1",
    ),
    "b2": (
        "d15ed1f9ae92346f6a6067dbb490a62494ae0d28",
        "b3ad4dd552f9e1b871f46666f39187414133b861e3d07eda016600230f8a1ad6",
    ),
}


def _on_hub(variant: str) -> Pinned:
    if variant not in _COMMITS:
        return Pinned(f"hf://nvidia/mit-{variant}")
    commit, sha256 = _COMMITS[variant]
    return Pinned(f"hf://nvidia/mit-{variant}@{commit}/model.safetensors", sha256)


#: Architectures, by the names of the registry -> where their ImageNet weights are. Those whose
#: commit is not known here are the newest of their repository.
ARCHITECTURES: Mapping[str, Pinned] = {f"mit_{variant}": _on_hub(variant) for variant in PUBLISHED}

#: Of those weights, and of SegFormer's.
LICENCE = "NVIDIA Source Code License for SegFormer: for research and evaluation, not for commerce"

#: The first convolution, by its name in published files: what is before it is a prefix.
FIRST_LAYERS = ("patch_embeddings.0.proj",)

#: Our layer of a block -> theirs.
_BLOCK_LAYERS = {
    "norm1": "layer_norm_1",
    "attention/query": "attention.self.query",
    "attention/key": "attention.self.key",
    "attention/value": "attention.self.value",
    "attention/reduce": "attention.self.sr",
    "attention/norm": "attention.self.layer_norm",
    "attention/out": "attention.output.dense",
    "norm2": "layer_norm_2",
    "ffn/expand": "mlp.dense1",
    "ffn/mix": "mlp.dwconv.dwconv",
    "ffn/project": "mlp.dense2",
}

#: Our layer of a stage -> theirs.
_STAGE_LAYERS = {
    "patches": "patch_embeddings.{}.proj",
    "patch_norm": "patch_embeddings.{}.layer_norm",
    "norm": "layer_norm.{}",
}


def import_mit(
    state_dict: Mapping[str, np.ndarray], model: MiT, excepted: Sequence[str] = ()
) -> dict[str, Any]:
    """Convert the weights of transformers' `SegformerModel`; what is not its encoder is left out.

    Args:
        state_dict: Tensor name, such as "block.0.1.mlp.dense1.weight", to array in PyTorch's
            layout.
        model: What the weights are for.
        excepted: Layers that are left out; see `import_variables`.

    Returns:
        Variables of `model`: float32 params.

    Raises:
        UserError: If names or shapes differ; the message lists how.
    """
    tensors = as_convolutions(state_dict)
    return import_variables(tensors, variable_shapes(model), mit_source, excepted)


def mit_source(path: Leaf) -> str:
    """Return transformers' name: stage1/block2/norm2/bias is block.0.1.layer_norm_2.bias."""
    _, stage, *layers, leaf = path
    index = int(stage.removeprefix("stage")) - 1
    if block := re.fullmatch(r"block(\d+)", layers[0]):
        layer = f"block.{index}.{int(block[1]) - 1}.{_BLOCK_LAYERS['/'.join(layers[1:])]}"
    else:
        layer = _STAGE_LAYERS[layers[0]].format(index)
    return f"{layer}.{LEAVES[leaf]}"
