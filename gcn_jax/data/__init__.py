"""Data sets of images and labels: prepared by TFDS without TensorFlow, streamed by Grain.

What is named here needs the extra `train`, and is imported when it is asked for: whoever reads an
image file pays for no data set.
"""

import importlib
from typing import TYPE_CHECKING, Any

from gcn_jax import extras

if TYPE_CHECKING:
    from gcn_jax.data.builders.registry import list_data_sets, prepare
    from gcn_jax.data.classes import ClassTable
    from gcn_jax.data.mixture import Mixture
    from gcn_jax.data.pipeline import training_batches
    from gcn_jax.data.sources import Source, open_split, open_training_source
    from gcn_jax.data.transforms import Augment
    from gcn_jax.data.validation import validate

__all__ = [
    "Augment",
    "ClassTable",
    "Mixture",
    "Source",
    "list_data_sets",
    "open_split",
    "open_training_source",
    "prepare",
    "training_batches",
    "validate",
]

_MODULES = {
    "Augment": "transforms",
    "ClassTable": "classes",
    "Mixture": "mixture",
    "Source": "sources",
    "list_data_sets": "builders.registry",
    "open_split": "sources",
    "open_training_source": "sources",
    "prepare": "builders.registry",
    "training_batches": "pipeline",
    "validate": "validation",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562); raise `UserError` where its packages are not there."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with extras.explained():
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
