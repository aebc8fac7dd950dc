"""The names of classes that transformers writes into the `config.json` beside its weights."""

from pathlib import Path

from gcn_jax.errors import UserError
from gcn_jax.hub import hub_file, is_on_hub, split_address
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
    try:
        if is_on_hub(source):
            repository, filename = split_address(source)
            folder, slash, _ = filename.rpartition("/")
            path = hub_file(repository, f"{folder}{slash}config.json")
        else:
            path = Path(source).with_name("config.json")
        labels = read_object(path).get("id2label")
    except (UserError, OSError):
        return None
    if not isinstance(labels, dict) or {*labels} != {str(i) for i in range(num_classes)}:
        return None
    names = tuple(labels[str(i)] for i in range(num_classes))
    if any(not isinstance(name, str) or not name.strip() for name in names):
        return None
    return None if names == tuple(f"LABEL_{i}" for i in range(num_classes)) else names
