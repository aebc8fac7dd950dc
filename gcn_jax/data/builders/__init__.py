"""Data sets as TFDS builders that need no TensorFlow: one file each."""

import warnings

with warnings.catch_warnings():
    # TFDS imports it, and in a notebook without ipywidgets it warns that there is no bar for it.
    warnings.filterwarnings("ignore", "IProgress not found")
    import tqdm.auto  # noqa: F401
