"""Data sets as TFDS builders that need no TensorFlow: one file each."""
