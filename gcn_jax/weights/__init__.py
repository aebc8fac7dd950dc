"""Weights that others published, as variables of networks of this package."""

from gcn_jax.weights.backbone import load_backbone_weights, read_backbone_preprocessing
from gcn_jax.weights.imagenet import IMAGENET, imagenet_file
from gcn_jax.weights.registry import list_sources

__all__ = [
    "IMAGENET",
    "imagenet_file",
    "list_sources",
    "load_backbone_weights",
    "read_backbone_preprocessing",
]
