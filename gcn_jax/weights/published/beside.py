"""Files that transformers writes beside its weights: names of classes, how images are prepared."""

from pathlib import Path
from typing import Any

from gcn_jax.errors import UserError
from gcn_jax.hub import hub_file, is_on_hub, split_address
from gcn_jax.weights.preparation import PREPROCESSOR, Preparation, read_preparation
from gcn_jax.workdir import read_object


def read_class_names(source: str, num_classes: int) -> tuple[str, ...] | None:
    """Read the names of the classes of a network.

    Args:
        source: A file of weights, or its address on the Hugging Face hub.
        num_classes: How many classes the network has.

    Returns:
        Their names, label 0 first; None where no `config.json` lies beside the file, or it names
        others than these, or calls them "LABEL_0" and so on.
    """
    labels = _read_beside(source, "config.json").get("id2label")
    if not isinstance(labels, dict) or {*labels} != {str(i) for i in range(num_classes)}:
        return None
    names = tuple(labels[str(i)] for i in range(num_classes))
    if any(not isinstance(name, str) or not name.strip() for name in names):
        return None
    return None if names == tuple(f"LABEL_{i}" for i in range(num_classes)) else names


def read_preparation_beside(source: str) -> Preparation | None:
    """Read how images are prepared for a network.

    Args:
        source: A file of weights, or its address on the Hugging Face hub.

    Returns:
        None where no `preprocessor_config.json` lies beside the file, or it does not say.
    """
    return read_preparation(_read_beside(source, PREPROCESSOR))


def _read_beside(source: str, name: str) -> dict[str, Any]:
    """Read a file beside a file of weights; an empty dict where there is none of that kind."""
    try:
        if not is_on_hub(source):
            return read_object(Path(source).with_name(name))
        repository, filename = split_address(source)
        folder, slash, _ = filename.rpartition("/")
        return read_object(hub_file(repository, f"{folder}{slash}{name}"))
    except (UserError, OSError):
        return {}
