"""Receptive fields: theoretical, effective and valid (Zhou et al., 2015), drawn and in numbers."""
