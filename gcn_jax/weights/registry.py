"""The sources of weights: who published them, for which backbones, and what reads them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.resnet import ResNet
from gcn_jax.models.backbones.vgg import VGG16
from gcn_jax.weights.resnet import import_resnet
from gcn_jax.weights.vgg import import_vgg


class Source(NamedTuple):
    """A source of weights.

    Attributes:
        backbone: The class of the backbones that they are for; these have a `published` name.
        read: Maps a state dict and a backbone to its variables.
    """

    backbone: type[nn.Module]
    read: Callable[[Mapping[str, np.ndarray], Any], dict[str, Any]]


#: Name -> source.
SOURCES: Mapping[str, Source] = {
    "resnet": Source(ResNet, import_resnet),
    "vgg": Source(VGG16, import_vgg),
}


def list_sources() -> list[str]:
    """Return the names of the sources."""
    return list(SOURCES)


def source_for(backbone: nn.Module, origin: str) -> Source:
    """Return the source of the weights of a backbone.

    Args:
        backbone: The backbone.
        origin: Where the weights come from, for the message.

    Raises:
        UserError: Nobody has published weights for such a backbone.
    """
    for source in SOURCES.values():
        if isinstance(backbone, source.backbone):
            return source
    kinds = ", ".join(source.backbone.__name__ for source in SOURCES.values())
    raise UserError(
        f"{origin}: weights from elsewhere are for {kinds}, not for {type(backbone).__name__}"
    )
