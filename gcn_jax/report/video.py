"""Videos that are written frame by frame: pictures as H.264, class maps without losses as FFV1."""

import contextlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax import atomic

#: Adds a frame, an array, that is shown at a time, in units of the video's time base.
AddFrame = Callable[[np.ndarray, int], None]


def pictures_to(
    path: Path, size: tuple[int, int], rate: Fraction, time_base: Fraction
) -> contextlib.AbstractContextManager[AddFrame]:
    """Write pictures, uint8 `[H, W, 3]` RGB, as an MP4 that browsers and players show (H.264).

    Colours are halved in resolution, as players expect, unless the height or the width is odd.

    Args:
        path: The file; it is there whole, once the block ended without an error, or not at all.
        size: H and W.
        rate: Frames a second.
        time_base: Seconds of a unit of time.

    Raises:
        UserError: It cannot be written there.
    """
    layout = "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
    options = {"crf": "18", "preset": "veryfast"}
    return _writing(path, "mp4", "libx264", layout, options, size, rate, time_base)


def labels_to(
    path: Path, size: tuple[int, int], rate: Fraction, time_base: Fraction
) -> contextlib.AbstractContextManager[AddFrame]:
    """Write class maps, uint8 `[H, W]`, as Matroska of FFV1: each pixel is a class, for ever.

    Args:
        path: The file; it is there whole, once the block ended without an error, or not at all.
        size: H and W.
        rate: Frames a second.
        time_base: Seconds of a unit of time.

    Raises:
        UserError: It cannot be written there.
    """
    options = {"level": "3", "slicecrc": "1"}
    return _writing(path, "matroska", "ffv1", "gray", options, size, rate, time_base)


@contextlib.contextmanager
def _writing(
    path: Path,
    file_type: str,
    codec: str,
    layout: str,
    options: dict[str, str],
    size: tuple[int, int],
    rate: Fraction,
    time_base: Fraction,
) -> Iterator[AddFrame]:
    import av

    in_color = layout != "gray"
    with atomic.replacing(path) as file:
        container: Any = av.open(file, "w", format=file_type)
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = *size, layout
        stream.codec_context.time_base = time_base
        if in_color:  # else players guess by the size
            stream.codec_context.colorspace = av.video.reformatter.Colorspace.ITU709
            stream.codec_context.color_range = av.video.reformatter.ColorRange.MPEG

        def add(array: np.ndarray, time: int) -> None:
            frame = av.VideoFrame.from_ndarray(array, format="rgb24" if in_color else "gray")
            if in_color:
                frame = frame.reformat(format=layout, dst_colorspace="ITU709")
            frame.pts, frame.time_base = time, time_base
            with atomic.named(path):
                container.mux(stream.encode(frame))

        try:
            yield add
            with atomic.named(path):
                container.mux(stream.encode(None))
                container.close()
        except BaseException:
            with contextlib.suppress(OSError):  # it would complete a file that has no name
                container.close()
            raise
