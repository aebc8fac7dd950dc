"""Measurements: what a number in the documentation was made with."""
