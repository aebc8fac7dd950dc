"""Trained models: read from a workdir or the hub, used on one image, published."""
