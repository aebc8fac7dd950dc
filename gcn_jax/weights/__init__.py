"""Weights that others published, as variables of networks of this package."""
