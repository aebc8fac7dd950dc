"""Backbones: networks that map images to features of several strides."""
