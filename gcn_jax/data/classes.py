"""Labels, their names and their colours: one table for each data set derives everything else."""

import dataclasses

import numpy as np

from gcn_jax import IGNORE_LABEL

#: Colour of void pixels in the VOC palette.
VOC_VOID_COLOR = (224, 224, 192)


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """Names and colours of the classes of a data set, in the order of their labels.

    Attributes:
        names: One name for each label 0..C-1.
        colors: One (red, green, blue), each 0..255, for each label; by default VOC's colours.
        void_color: The colour of `IGNORE_LABEL`.
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...] | None = None
    void_color: tuple[int, int, int] = VOC_VOID_COLOR

    @property
    def palette(self) -> np.ndarray:
        """The colours as uint8 `[256, 3]`: row `i` for label `i`, row 255 for void."""
        palette = voc_palette()
        if self.colors is not None:
            palette[: len(self.colors)] = self.colors
        palette[IGNORE_LABEL] = self.void_color
        return palette


def voc_palette() -> np.ndarray:
    """The palette of PASCAL VOC's label images, uint8 `[256, 3]`.

    The bits of a label are dealt to red, green and blue in turn, most significant first, so that
    neighbouring labels get distant colours (the `VOClabelcolormap` of VOC's development kit).
    """
    labels: np.ndarray = np.arange(256, dtype=np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((labels >> channel) & 1) << (7 - bit)
        labels = labels >> 3
    return palette


def class_colors(palette: np.ndarray, num_classes: int) -> tuple[tuple[int, int, int], ...]:
    """Return the colours of the classes as plain tuples, for JSON files.

    Args:
        palette: uint8 `[256, 3]`.
        num_classes: C, the number of its rows that are taken.
    """
    return tuple((int(r), int(g), int(b)) for r, g, b in palette[:num_classes])
