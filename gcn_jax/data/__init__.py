"""Data sets of images and labels: prepared by TFDS without TensorFlow, streamed by Grain."""

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
