"""Labels, their names and their colours: one table for each data set derives everything else."""

import dataclasses

import numpy as np

from gcn_jax import IGNORE_LABEL

#: Colour of void pixels in the VOC palette.
VOC_VOID_COLOR = (224, 224, 192)

#: Colours of labels 1 to 254: the seven of Okabe and Ito (2008), whom readers who confuse red and
#: green tell apart, then each time the one farthest (CIEDE2000) from black, white, VOC's void and
#: all before it; of the colours whose channels are multiples of 17, lightness 25 to 90, chroma 20
#: and more. Black and the next 20 are 20.6 apart at least; VOC's first 21 are 4.5.
_DISTINCT = bytes.fromhex(
    """
    e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 661199 555500 880022 00ff55 005555 ffaa99
    55eedd ff0044 889922 8866ff ccbbff 663300 bb1177 776688 007711 997733 334466 ff00ff 996655
    008899 553355 224422 ffcc99 ffbbdd bb2200 0044ee 778866 00bb00 88cc99 7788aa bbaa77 bb00cc
    99ddee ff0088 cc7777 aacc55 ff9955 66aaaa 995500 ff99ff bb8866 447766 ff6644 884455 aa88cc
    aaccff 3388ff 33ffbb bb3344 6655aa 9999ff 667722 bbaa00 554422 559944 884488 005577 556644
    ff7799 ffcc55 770055 776644 bb5577 7700ee 774433 bb55aa 99aa77 aaddcc 0011cc 4466cc cc77ff
    881100 ee2211 775500 00ccdd bbee99 005500 cc99aa 006644 998866 99ee00 00ccaa 998800 443377
    ff66cc cccc88 00bb66 cc7700 556688 003399 996688 77aaff 990044 bb44ff ddaa88 bb5533 116677
    77aa88 4499bb 66dd77 bb8811 00aa99 9966bb 334400 ffccbb ddaa66 ff7777 dd99cc aa88aa 990099
    ff00bb 447744 cc5555 007777 0055aa 663333 cc77cc 8844cc dd0066 775533 994411 0099ee 888844
    9999cc 77bbcc 88bb66 ff6611 aaaa55 997755 8877aa 7777cc 774466 44dd00 995555 448800 446611
    444422 558866 eeccff ee5577 776600 007799 77bb00 663377 008877 55eeff aa1122 666633 555577
    dd8866 aa7788 aa6633 aaeebb 229999 77bbaa ffdd99 dd0099 008844 00ccff 5533bb ff99bb 88cccc
    225544 994433 ff9911 aabb00 6644ff cc99ff dd9999 ccee66 5577ff ff66ff cc9988 ffbbbb ccaadd
    00aabb aaddff dd11cc 557799 00dd99 9977dd aa00ff 669988 770077 996600 3388bb ddcc66 aaeeee
    cc7744 00bbbb 7799bb ccddaa ee7700 eecc00 dd5599 bb7766 bb9955 663344 444499 dd1133 dd6655
    77ddbb aa3355 779966 004477 bb8888 cc55dd 665522 994477 bb0099 55bb88 ccaa44 aaccaa 664411
    8811bb 668844 2277dd 669911 009900 991166 335522 ff66aa 2211ff 886633 00dddd 883333 bb4400
    88ee66 ccdd22 ee0055 aacc88 ffbb99 66aa66 999966 336688 aa88ff bb9977 ffbb55 dd5522 bb8844
    775588 88aa44 554466 dd8899 887722 ddcc99 9944aa
    """
)


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """Names and colours of the classes of a data set, in the order of their labels.

    Attributes:
        names: One name for each label 0..C-1.
        colors: One (red, green, blue), each 0..255, for each label; by default those of
            `distinct_palette`.
        void_color: The colour of `IGNORE_LABEL`.
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...] | None = None
    void_color: tuple[int, int, int] = VOC_VOID_COLOR

    @property
    def palette(self) -> np.ndarray:
        """The colours as uint8 `[256, 3]`: row `i` for label `i`, row 255 for void."""
        palette = distinct_palette()
        if self.colors is not None:
            palette[: len(self.colors)] = self.colors
        palette[IGNORE_LABEL] = self.void_color
        return palette


def distinct_palette() -> np.ndarray:
    """Colours that can be told apart, for classes without their own, uint8 `[256, 3]`.

    The fewer classes, the better: the first 21 rows are 20 apart (CIEDE2000), 50 rows 13, all 6.
    Row 0 is black, as background mostly is, and row 255 VOC's colour of void.
    """
    return (
        np.frombuffer(bytes(3) + _DISTINCT + bytes(VOC_VOID_COLOR), np.uint8).reshape(256, 3).copy()
    )


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
