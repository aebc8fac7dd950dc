"""Sources of weights by the architecture that they are for."""

from collections.abc import Callable, Mapping
from typing import Any

from gcn_jax.weights import resnet, vgg

#: Architecture, by timm's name (`SegmentationNetwork.backbone_weights`) -> what makes variables of
#: a backbone, its second argument, from the tensors that others publish, by name.
SOURCES: Mapping[str, Callable[..., dict[str, Any]]] = {
    **dict.fromkeys(resnet.ARCHITECTURES, resnet.import_resnet),
    **dict.fromkeys(vgg.ARCHITECTURES, vgg.import_vgg),
}


def list_sources() -> list[str]:
    """Return the architectures whose published weights can be loaded."""
    return list(SOURCES)
