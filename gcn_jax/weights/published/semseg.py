"""PSPNet of hszhao/semseg: ResNets with a stem of three convolutions, for images in RGB."""

from typing import Any

from gcn_jax.models.network import SegmentationNetwork, variable_shapes
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.models.pspnet import BINS
from gcn_jax.weights.matching import LEAVES, Leaf, import_variables
from gcn_jax.weights.published.family import Family, Identity, Tensors, count_blocks, has_kernels
from gcn_jax.weights.resnet import last_kernels, resnet_source

_NAMES = (
    *(f"layer0.{i}.weight" for i in (0, 3, 6)),
    *last_kernels(),
    *(f"ppm.features.{i}.1.weight" for i in range(len(BINS))),
    "cls.0.weight",
    "cls.4.weight",
)

#: Blocks in the third stage -> the network.
_NETWORKS = {6: "pspnet_resnet50", 23: "pspnet_resnet101"}

#: Our layer -> theirs.
_STEM = {
    **{f"conv1_{i}": f"layer0.{3 * (i - 1)}" for i in (1, 2, 3)},
    **{f"bn1_{i}": f"layer0.{3 * (i - 1) + 1}" for i in (1, 2, 3)},
}
_HEADS = {"head": "cls", "auxiliary_head": "aux"}


def _identify(tensors: Tensors) -> Identity | None:
    network = _NETWORKS.get(count_blocks(tensors, "layer3."))
    if network is None or not has_kernels(tensors, _NAMES):
        return None
    fields: dict[str, Any] = {"num_classes": len(tensors["cls.4.weight"])}
    if not any(name.startswith("aux.") for name in tensors):
        fields["auxiliary"] = False
    return Identity(network, fields)


def _convert(tensors: Tensors, model: SegmentationNetwork) -> dict[str, Any]:
    return import_variables(tensors, variable_shapes(model), _source)


def _source(path: Leaf) -> str:
    """Return the published name: ppm/bins2/conv/kernel is ppm.features.1.1.weight."""
    _, *layers, leaf = path
    match layers:
        case ["backbone", layer] if layer in _STEM:
            name = _STEM[layer]
        case ["backbone", *_]:
            return resnet_source((path[0], *path[2:]))
        case ["ppm", bins, layer]:
            name = f"ppm.features.{BINS.index(int(bins.removeprefix('bins')))}"
            name += ".1" if layer == "conv" else ".2"
        case [head, "reduce", layer]:
            name = f"{_HEADS[head]}.{0 if layer == 'conv' else 1}"
        case [head, _]:
            name = f"{_HEADS[head]}.4"
    return f"{name}.{LEAVES[leaf]}"


FAMILIES = (
    Family(
        title="PSPNet of hszhao/semseg",
        identify=_identify,
        convert=_convert,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="MIT (the code's; the files name none of their own)",
        homepage="https://github.com/hszhao/semseg",
        names=_NAMES,
    ),
)
