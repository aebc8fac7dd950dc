"""Class maps of images that are too large for the network: windows, a band of the image at a time.

The sums of probabilities are kept on the host, for as many rows as a window has, and for as many
columns as a bound allows: memory does not grow with the image. Windows on the border of two strips
of columns are predicted for each.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gcn_jax.inference.windows import make_grid

#: Bytes that the sums of a strip may take, unless one column of windows takes more.
STRIP_BYTES = 2**30


class View(NamedTuple):
    """One way to see an image, such as a scale: windows spread evenly over all of it.

    Attributes:
        window: (height, width) of its windows, in pixels of the image.
        probabilities: Maps uint8 `[h, w, 3]`, a window or the whole height or width of an image
            that is smaller, to float32 `[h, w, C]`.
    """

    window: tuple[int, int]
    probabilities: Callable[[np.ndarray], np.ndarray]


class _Placed(NamedTuple):
    """A view and where its windows start in an image."""

    view: View
    tops: list[int]
    lefts: list[int]
    rows: np.ndarray  # how many windows cover each row, and each column
    columns: np.ndarray


def class_map(
    image: np.ndarray,
    views: Sequence[View],
    overlap: float,
    num_classes: int,
    strip_bytes: int = STRIP_BYTES,
    probabilities: np.ndarray | None = None,
) -> np.ndarray:
    """Predict an image window by window; where windows overlap, their mean counts, view by view.

    Args:
        image: uint8 `[H, W, 3]`.
        views: One or more ways to see it, whose means are added.
        overlap: The least share of a window that its neighbour covers too, in [0, 1).
        num_classes: C.
        strip_bytes: What the sums of a strip may take.
        probabilities: Floats `[H, W, C]`, such as a file in memory, that get the mean of each class
            of each pixel; None where nobody wants them.

    Returns:
        `[H, W]`, uint8 for up to 256 classes, else int32.
    """
    height, width = image.shape[:2]
    placed = [_place(view, (height, width), overlap) for view in views]
    band = min(height, max(view.window[0] for view in views))
    labels = np.empty((height, width), np.uint8 if num_classes <= 256 else np.int32)
    for columns in _strips(placed[0].lefts, width, strip_bytes // (4 * num_classes * band)):
        total = np.zeros((band, columns.stop - columns.start, num_classes), np.float32)
        wanted = None if probabilities is None else probabilities[:, columns]
        _fill(labels[:, columns], image, placed, columns, total, wanted)
    return labels


def _fill(
    labels: np.ndarray,
    image: np.ndarray,
    placed: Sequence[_Placed],
    columns: slice,
    total: np.ndarray,
    wanted: np.ndarray | None,
) -> None:
    """Predict some columns of an image; `total` is zero before, and has the sums of a band."""

    def take(rows: slice) -> None:
        _take_rows(total, labels[rows], None if wanted is None else wanted[rows])

    windows = sorted(
        (top, left, number)
        for number, (view, tops, lefts, *_) in enumerate(placed)
        for left in lefts
        if left < columns.stop and left + view.window[1] > columns.start
        for top in tops
    )
    first = 0  # the row of the image that the band begins with
    for top, left, number in windows:
        if top > first:  # a new band: the rows above it are complete
            take(slice(first, top))
            first = top
        (height, width), probabilities = placed[number].view
        result = probabilities(image[top : top + height, left : left + width])
        start, stop = max(left, columns.start), min(left + result.shape[1], columns.stop)
        part = result[:, start - left : stop - left]
        if len(placed) > 1:  # else sums are as good as means
            rows = placed[number].rows[top : top + len(part), None, None]
            part = part / (rows * placed[number].columns[start:stop, None])
        total[: len(part), start - columns.start : stop - columns.start] += part
    take(slice(first, len(labels)))


def _take_rows(total: np.ndarray, labels: np.ndarray, wanted: np.ndarray | None) -> None:
    """Find the classes of the first rows of a band, and move the rows below them up.

    Row by row: no copy of the band is made.
    """
    count = len(labels)
    for row in range(count):
        labels[row] = total[row].argmax(axis=-1)
        if wanted is not None:  # a sum of means has as many ones as were added
            wanted[row] = total[row] / total[row].sum(axis=-1, keepdims=True)
    for row in range(len(total)):
        total[row] = total[row + count] if row + count < len(total) else 0


def _strips(lefts: Sequence[int], width: int, most: int) -> list[slice]:
    """Cut the columns where windows start, into strips of at most so many, if one has no more."""
    cuts = [0]
    ends = [*lefts[1:], width]
    for end, following in zip(ends, [*ends[1:], None], strict=True):
        if following is None or following - cuts[-1] > most:
            cuts.append(end)
    return [slice(*pair) for pair in zip(cuts, cuts[1:], strict=False)]


def _place(view: View, shape: tuple[int, int], overlap: float) -> _Placed:
    within = (max(shape[0], view.window[0]), max(shape[1], view.window[1]))
    grid = make_grid(within, view.window, overlap)
    tops, lefts = (_starts(*side) for side in zip(within, view.window, grid, strict=True))
    covered = []
    for starts, size, length in zip((tops, lefts), view.window, shape, strict=True):
        counts = np.zeros(length, np.float32)
        for start in starts:
            counts[start : start + size] += 1
        covered.append(counts)
    return _Placed(view, tops, lefts, *covered)


def _starts(length: int, size: int, count: int) -> list[int]:
    """Spread windows evenly, as `windows.origins` does."""
    gaps = max(count - 1, 1)
    return [(2 * i * (length - size) + gaps) // (2 * gaps) for i in range(count)]
