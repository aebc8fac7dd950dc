"""A published file, from a path or the Hugging Face hub, as variables of a network."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from gcn_jax.errors import UserError
from gcn_jax.hub import is_on_hub, weights_file
from gcn_jax.models.registry import create_model
from gcn_jax.tensor_files import read_weights
from gcn_jax.weights.caffemodel import read_caffemodel
from gcn_jax.weights.preparation import Preparation
from gcn_jax.weights.published.beside import read_class_names, read_preparation_beside
from gcn_jax.weights.published.family import Family, Identity
from gcn_jax.weights.published.registry import identify

#: The ending of files of Caffe.
CAFFE = ".caffemodel"


class Published(NamedTuple):
    """A network as somebody published it.

    Attributes:
        family: The family of published files that it is of.
        identity: Its name and fields for `create_model`.
        variables: float32 params and, with batch-norm, batch_stats.
        sha256: The digest of the file, in hexadecimal digits.
        class_names: What a `config.json` beside the file calls the classes, label 0 first, if it
            does.
        preparation: How a `preprocessor_config.json` beside the file prepares images, if it says;
            else it is as the family does.
    """

    family: Family
    identity: Identity
    variables: dict[str, Any]
    sha256: str
    class_names: tuple[str, ...] | None = None
    preparation: Preparation | None = None


def load_published(
    source: str, network: str | None = None, fields: Mapping[str, Any] = MappingProxyType({})
) -> Published:
    """Read a published file and convert it.

    Example:
        >>> published = load_published("fcn8s_from_caffe.pth")
        >>> model = create_model(published.identity.network, **published.identity.fields)
        >>> logits = model.apply(published.variables, images)

    Args:
        source: A file, or "hf://owner/name" on the Hugging Face hub, as for `hub.weights_file`.
        network: What the network must be, as for `identify`; any if None.
        fields: Fields of the network that are to have other values, with which it still has the
            tensors of the file, such as `dtype`.

    Raises:
        UserError: The file cannot be had or read, no family knows it, its tensors are not all of
            the network's shapes, it is of another network, or there is no such field.
    """
    path = weights_file(source) if is_on_hub(source) else Path(source)
    is_caffe = path.suffix == CAFFE
    tensors = read_caffemodel(path) if is_caffe else read_weights(path)
    try:
        family, identity, bare = identify(tensors, network)
        identity = identity._replace(fields={**identity.fields, **fields})
        model = create_model(identity.network, **identity.fields)
        variables = family.convert(bare, model)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    class_names = read_class_names(source, identity.fields["num_classes"])
    preparation = read_preparation_beside(source)
    return Published(family, identity, variables, sha256, class_names, preparation)
