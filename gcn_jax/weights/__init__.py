"""Weights that others published, as variables of networks of this package."""

from gcn_jax.weights.backbone import load_backbone_weights, read_backbone_preprocessing
from gcn_jax.weights.imagenet import IMAGENET, imagenet_file
from gcn_jax.weights.registry import LICENCES, list_sources

__all__ = [
    "IMAGENET",
    "LICENCES",
    "imagenet_file",
    "list_sources",
    "load_backbone_weights",
    "read_backbone_preprocessing",
]
