"""Whole networks as others publish them: one file for each family of files."""
