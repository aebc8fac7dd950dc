"""Semantic segmentation in JAX, grown from *Large Kernel Matters* (Peng et al., CVPR 2017)."""

__version__ = "0.1.0"

#: The label that no loss and no score counts: unlabelled pixels, object borders, padding.
IGNORE_LABEL = 255
