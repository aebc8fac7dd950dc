"""Data sets of images and labels: prepared by TFDS without TensorFlow, streamed by Grain."""

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.classes import ClassTable, class_colors, voc_palette
from gcn_jax.data.mixture import Mixture
from gcn_jax.data.pipeline import training_batches
from gcn_jax.data.sources import (
    BUILDERS,
    Source,
    make_builder,
    open_split,
    open_training_source,
    prepare,
)
from gcn_jax.data.statistics import CLASS_WEIGHTS, LabelStatistics, class_weights
from gcn_jax.data.transforms import Augment

__all__ = [
    "BUILDERS",
    "CLASS_WEIGHTS",
    "IGNORE_LABEL",
    "Augment",
    "ClassTable",
    "LabelStatistics",
    "Mixture",
    "Source",
    "class_colors",
    "class_weights",
    "make_builder",
    "open_split",
    "open_training_source",
    "prepare",
    "training_batches",
    "voc_palette",
]
