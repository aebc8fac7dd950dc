"""Sources of weights by the architecture that they are for."""

from collections.abc import Callable, Mapping
from typing import Any

from gcn_jax.weights import convnext, dinov2, mit, resnet, vgg

#: Each file that reads published weights, with the function that makes variables of a backbone, its
#: second argument, from tensors by name. `ARCHITECTURES` there are those that it reads, and
#: `FIRST_LAYERS` their first convolution.
SOURCE_FILES: Mapping[Any, Callable[..., dict[str, Any]]] = {
    resnet: resnet.import_resnet,
    vgg: vgg.import_vgg,
    convnext: convnext.import_convnext,
    mit: mit.import_mit,
    dinov2: dinov2.import_dinov2,
}

#: Architecture, by timm's name (`SegmentationNetwork.backbone_weights`) -> that function.
SOURCES: Mapping[str, Callable[..., dict[str, Any]]] = {
    name: read for file, read in SOURCE_FILES.items() for name in file.ARCHITECTURES
}


#: Architecture -> under which licence the weights on the hub are, where the files name one.
LICENCES: Mapping[str, str] = {
    name: file.LICENCE for file in (mit, dinov2) for name in file.ARCHITECTURES
}


def list_sources() -> list[str]:
    """Return the architectures whose published weights can be loaded."""
    return list(SOURCES)
