"""Reading `.npy`, one at a time.

Python 3.11 parses literals, such as the header of such a file, wrongly in several threads at once:
"AST constructor recursion depth mismatch" (python/cpython#106905).
"""

import threading
from pathlib import Path
from typing import IO, Any

import numpy as np

_LOCK = threading.Lock()


def load_npy(file: str | Path | IO[bytes]) -> Any:
    """Return what `numpy.load` does; errors are its own.

    Args:
        file: The path, or an open file.
    """
    with _LOCK:
        return np.load(file)


def map_npy(path: str | Path) -> np.ndarray:
    """Return an array that stays in its file, to be read in parts.

    Args:
        path: The file; errors are those of `numpy.lib.format.open_memmap`.
    """
    with _LOCK:
        return np.lib.format.open_memmap(path, mode="r")
