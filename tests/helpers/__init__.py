"""Fakes, miniatures and comparisons that several files of tests share."""
