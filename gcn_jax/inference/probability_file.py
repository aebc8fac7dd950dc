"""Files of probabilities, which are filled and read without being in memory as a whole."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from gcn_jax import atomic


@contextlib.contextmanager
def probability_file(path: str | Path, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    """Make a `.npy` of float16, to be filled; `numpy.load(path, mmap_mode="r")` reads parts of it.

    Room on the disk is taken first. The file gets its name once the block ended without an error.

    Args:
        path: The file; folders that are missing are made.
        shape: (height, width, classes).

    Yields:
        float16 `[H, W, C]`, which lies in the file: what is written into it is on its way there.

    Raises:
        UserError: The file cannot be written there.
    """
    with atomic.replacing(path) as file:
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(file, header)
        start = file.tell()
        with atomic.named(path):
            os.posix_fallocate(file.fileno(), start, 2 * math.prod(shape))
        array = np.memmap(file, "<f2", "r+", start, shape)
        yield array
        array.flush()
