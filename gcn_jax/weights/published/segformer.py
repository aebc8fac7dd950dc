"""SegFormer as transformers publishes it, such as hf://nvidia/segformer-b0-finetuned-ade-512-512."""

from typing import Any

from gcn_jax.models.backbones.mit import PUBLISHED
from gcn_jax.models.network import SegmentationNetwork, variable_shapes
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.weights.matching import LEAVES, Leaf, as_convolutions, import_variables
from gcn_jax.weights.mit import LICENCE, mit_source
from gcn_jax.weights.published.family import Family, Identity, Tensors, count_blocks, has_kernels

_ENCODER = "segformer.encoder."

#: Our layer outside the backbone -> theirs.
_HEAD = {
    **{f"level{i + 2}": f"decode_head.linear_c.{i}.proj" for i in range(4)},
    "fuse/conv": "decode_head.linear_fuse",
    "fuse/bn": "decode_head.batch_norm",
    "score": "decode_head.classifier",
}

_NAMES = (
    *(f"{_ENCODER}patch_embeddings.{i}.proj.weight" for i in range(4)),
    *(f"{_ENCODER}block.{i}.0.mlp.dwconv.dwconv.weight" for i in range(4)),
    "decode_head.linear_fuse.weight",
    "decode_head.classifier.weight",
)


def _identify(tensors: Tensors) -> Identity | None:
    """Know the variant by the depths and the width of the first stage."""
    if not has_kernels(tensors, _NAMES):
        return None
    depths = tuple(count_blocks(tensors, f"{_ENCODER}block.{i}.") for i in range(4))
    widths = tuple(len(tensors[name]) for name in _NAMES[:4])
    for variant, sizes in PUBLISHED.items():
        if (sizes.widths, sizes.depths) == (widths, depths):
            num_classes = len(tensors["decode_head.classifier.weight"])
            return Identity(f"segformer_{variant}", {"num_classes": num_classes})
    return None


def _convert(tensors: Tensors, model: SegmentationNetwork) -> dict[str, Any]:
    return import_variables(as_convolutions(tensors), variable_shapes(model), _source)


def _source(path: Leaf) -> str:
    """Return transformers' name: fuse/bn/mean is decode_head.batch_norm.running_mean."""
    collection, first, *rest, leaf = path
    if first == "backbone":
        return _ENCODER + mit_source((collection, *rest, leaf))
    return f"{_HEAD['/'.join([first, *rest])]}.{LEAVES[leaf]}"


FAMILIES = (
    Family(
        title="SegFormer of transformers",
        identify=_identify,
        convert=_convert,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence=f"{LICENCE} (NVIDIA's files; others say their own)",
        homepage="https://huggingface.co/docs/transformers/model_doc/segformer",
        names=_NAMES,
    ),
)
