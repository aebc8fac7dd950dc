"""Class maps of images that are too large for the network: windows, a band of the image at a time.

The sums of probabilities are kept on the host, for as many rows as a window has: memory grows with
the width of an image, not with its height.
"""

from collections.abc import Callable
from itertools import product

import numpy as np

from gcn_jax.inference.windows import make_grid


def class_map(
    image: np.ndarray,
    probabilities: Callable[[np.ndarray], np.ndarray],
    window: tuple[int, int],
    overlap: float,
) -> np.ndarray:
    """Predict an image window by window; where windows overlap, their mean counts.

    Args:
        image: uint8 `[H, W, 3]`, no smaller than a window.
        probabilities: Maps uint8 `[h, w, 3]`, a window, to float32 `[h, w, C]`.
        window: (height, width).
        overlap: The least share of a window that its neighbour covers too, in [0, 1).

    Returns:
        int32 `[H, W]`.
    """
    height, width = image.shape[:2]
    grid = make_grid((height, width), window, overlap)
    tops, lefts = (_starts(*side) for side in zip((height, width), window, grid, strict=True))
    labels = np.empty((height, width), np.int32)
    total: np.ndarray | None = None  # of the rows from `first` on
    first = 0
    for top, left in product(tops, lefts):
        rows, columns = slice(top, top + window[0]), slice(left, left + window[1])
        result = probabilities(image[rows, columns])
        if total is None:
            total = np.zeros((window[0], width, result.shape[-1]), np.float32)
        elif top > first:  # a new band: the rows above it are complete
            done = top - first
            labels[first:top] = total[:done].argmax(axis=-1)
            total = np.concatenate([total[done:], np.zeros_like(total[:done])])
            first = top
        total[:, columns] += result
    assert total is not None
    labels[first:] = total.argmax(axis=-1)
    return labels


def _starts(length: int, size: int, count: int) -> list[int]:
    """Spread windows evenly, as `windows.origins` does."""
    gaps = max(count - 1, 1)
    return [(2 * i * (length - size) + gaps) // (2 * gaps) for i in range(count)]
