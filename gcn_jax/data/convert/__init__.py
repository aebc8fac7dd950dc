"""Conversion of annotations in other tools' formats to the folders that train."""

from gcn_jax.data.convert.conversion import Conversion, convert
from gcn_jax.data.convert.plan import Options

__all__ = ["Conversion", "Options", "convert"]
