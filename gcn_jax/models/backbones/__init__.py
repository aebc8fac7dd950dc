"""Backbones: networks that map images to features of several strides."""

from gcn_jax.models.backbones.registry import BACKBONES, Backbone, list_backbones
from gcn_jax.models.backbones.resnet import ResNet

__all__ = ["BACKBONES", "Backbone", "ResNet", "list_backbones"]
