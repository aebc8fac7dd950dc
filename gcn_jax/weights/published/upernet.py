"""UPerNet on ConvNeXt as OpenMMLab's models are published for transformers."""

from collections.abc import Mapping
from typing import Any

from gcn_jax.models.backbones.convnext import PUBLISHED, VARIANTS
from gcn_jax.models.network import SegmentationNetwork, variable_shapes
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.models.upernet import BINS
from gcn_jax.weights.convnext import convnext_source, timm_tensors
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables
from gcn_jax.weights.published.family import Family, Identity, Tensors, count_blocks, has_kernels

#: What is before the names of the backbone.
_BACKBONE = "backbone."

#: Our layer with a batch-norm -> theirs.
_REDUCTIONS: Mapping[str, str] = {
    **{f"bins{bins}": f"decode_head.psp_modules.{i}.1" for i, bins in enumerate(BINS)},
    "ppm": "decode_head.bottleneck",
    **{f"lateral{level}": f"decode_head.lateral_convs.{level - 2}" for level in (2, 3, 4)},
    **{f"fpn{level}": f"decode_head.fpn_convs.{level - 2}" for level in (2, 3, 4)},
    "head/reduce": "decode_head.fpn_bottleneck",
    "auxiliary_head/reduce": "auxiliary_head.convs.0",
}
_LAYERS: Mapping[str, str] = {
    **{f"{ours}/conv": f"{theirs}.conv" for ours, theirs in _REDUCTIONS.items()},
    **{f"{ours}/bn": f"{theirs}.batch_norm" for ours, theirs in _REDUCTIONS.items()},
    "head/score": "decode_head.classifier",
    "auxiliary_head/score": "auxiliary_head.classifier",
}

_FIRST = f"{_BACKBONE}embeddings.patch_embeddings.weight"
_SCORE = "decode_head.classifier.weight"
_NAMES = (
    _FIRST,
    *(f"{_BACKBONE}encoder.stages.{i}.layers.0.dwconv.weight" for i in range(4)),
    *(
        f"{name}.weight"
        for layer, name in _LAYERS.items()
        if not layer.endswith("/bn") and not layer.startswith("auxiliary")
    ),
)


def _identify(tensors: Tensors) -> Identity | None:
    if not has_kernels(tensors, _NAMES):
        return None
    found = len(tensors[_FIRST]), count_blocks(tensors, f"{_BACKBONE}encoder.stages.2.layers.")
    sizes = {(VARIANTS[name].widths[0], VARIANTS[name].blocks[2]): name for name in PUBLISHED}
    if found not in sizes:
        return None
    fields: dict[str, Any] = {"num_classes": len(tensors[_SCORE])}
    if not any(name.startswith("auxiliary_head.") for name in tensors):
        fields["auxiliary"] = False
    return Identity(f"upernet_convnext_{sizes[found]}", fields)


def _convert(tensors: Tensors, network: SegmentationNetwork) -> dict[str, Any]:
    backbone = {
        name.removeprefix(_BACKBONE): array
        for name, array in tensors.items()
        if name.startswith(_BACKBONE)
    }
    heads = {name: array for name, array in tensors.items() if not name.startswith(_BACKBONE)}
    renamed = {_BACKBONE + name: array for name, array in timm_tensors(backbone).items()}
    return import_variables({**renamed, **heads}, variable_shapes(network), _source)


def _source(path: Leaf) -> str:
    """Return the published name, of the backbone timm's."""
    collection, first, *rest, leaf = path
    if first == "backbone":
        return _BACKBONE + convnext_source((collection, *rest, leaf))
    return f"{_LAYERS['/'.join([first, *rest])]}.{LEAVES[leaf]}"


FAMILIES = (
    Family(
        title="UPerNet on ConvNeXt of transformers",
        identify=_identify,
        convert=_convert,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="MIT (the model cards')",
        homepage="https://huggingface.co/openmmlab/upernet-convnext-tiny",
        names=_NAMES,
    ),
)
