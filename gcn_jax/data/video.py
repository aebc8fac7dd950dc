"""Videos, and the streams of cameras, read one frame at a time with PyAV (FFmpeg)."""

import contextlib
import re
import stat
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np

from gcn_jax import extras
from gcn_jax.data.problems import Problem

#: Suffixes of files that are taken for videos.
VIDEO_SUFFIXES = (
    ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv",
)  # fmt: skip

#: Seconds that a stream may keep silent.
_PATIENCE = 10
#: A video lacks its end if more of its frames are missing.
_MISSING_FRAMES = 2.5
#: Where nothing says how many frames a second has.
_USUAL_RATE = Fraction(25)


class Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        image: uint8 `[H, W, 3]` RGB, turned upright where the file says so.
        time: When it is shown, in units of the video's `time_base`.
    """

    image: np.ndarray
    time: int


def is_video(path: str | Path) -> bool:
    """Return whether a path has the suffix of a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def is_stream(source: str) -> bool:
    """Return whether a source has no end of its own: an address, or the device of a camera."""
    return "://" in source or _is_device(source)


def stream_name(source: str) -> str:
    """Return what to call a stream and its results, without the password that it may hold.

    Args:
        source: An address, or the device of a camera.
    """
    if _is_device(source):
        return Path(source).name
    address = urlsplit(source)
    words = [address.hostname or address.scheme, *address.path.split("/")]
    return "_".join(word for word in words if word)


def _is_device(source: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISCHR(Path(source).stat().st_mode)
    return False


class Video:
    """A video that is open.

    Attributes:
        name: What to call it in an error.
        rate: Frames a second, on average.
        time_base: Seconds of a unit of time.
        num_frames: How many frames it says it has; None where it does not.
        is_endless: Whether it is a stream, see `is_stream`.
    """

    def __init__(self, name: str, container: Any, *, is_endless: bool):
        """Look at the first stream of pictures.

        Args:
            name: What to call it in an error.
            container: What `av.open` returned.
            is_endless: Whether it is a stream.

        Raises:
            Problem: There is none.
        """
        if not container.streams.video:
            raise Problem("unreadable video", f"{name}: it holds no pictures")
        self.name, self.is_endless, self._container = name, is_endless, container
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = self._stream.average_rate or self._stream.guessed_rate or _USUAL_RATE
        self.time_base: Fraction = self._stream.time_base or 1 / self.rate
        self.num_frames: int | None = self._stream.frames or None

    def frames(self) -> Iterator[Frame]:
        """Decode frame after frame; none is kept.

        Raises:
            Problem: One is damaged or of another size, the video ends before its end, or a stream
                is silent; the message says which frame it is.
        """
        import av

        number, size, first, end = 0, None, 0, 0
        step = round(1 / (self.rate * self.time_base))
        try:
            for frame in self._container.decode(self._stream):
                number += 1
                if frame.is_corrupt:
                    raise self._problem(f"damaged at frame {number}")
                if size not in (None, (frame.width, frame.height)):
                    raise self._problem(f"frame {number} has another size than those before")
                size = frame.width, frame.height
                time = frame.pts if frame.pts is not None else end
                first = time if number == 1 else first
                end = time + (frame.duration or step)
                yield Frame(_upright(frame), time)
        except av.error.ExitError:  # of the time that `av.open` was given
            raise self._problem(f"nothing came for {_PATIENCE} s after frame {number}") from None
        except av.FFmpegError as error:
            raise self._problem(f"damaged at frame {number + 1} ({error.strerror})") from None
        if not number:
            raise self._problem("it holds no frame")
        promised, seen = self._seconds(), (end - first) * self.time_base
        if promised is not None and promised - seen > _MISSING_FRAMES / self.rate:
            raise self._problem(f"it ends after frame {number}, not after {promised:.1f} s")

    def _seconds(self) -> float | None:
        """Return how long the pictures go on, as the file says it; None where it does not."""
        if self._stream.duration is not None:
            return float(self._stream.duration * self.time_base)
        tag = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", self._stream.metadata.get("DURATION", ""))
        return tag and 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])  # of Matroska

    def _problem(self, what: str) -> Problem:
        return Problem("damaged video", f"{self.name}: {what}")


@contextlib.contextmanager
def open_video(source: str | Path) -> Iterator[Video]:
    """Open a video file or a stream.

    Args:
        source: A path, an address such as "rtsp://host/camera", or a device such as "/dev/video0".

    Raises:
        Problem: It cannot be opened, or holds no pictures.
        UserError: PyAV is not installed.
    """
    with extras.explained():
        import av
    source = str(source)
    endless = is_stream(source)
    name = stream_name(source) if endless else source
    try:
        container = av.open(
            source,
            format="v4l2" if _is_device(source) else None,
            timeout=_PATIENCE if endless else None,
        )
    except (av.FFmpegError, OSError) as error:
        message = f"{name}: not a readable video, or one that is cut off ({error.strerror})"
        raise Problem("unreadable video", message) from None
    with container:
        yield Video(name, container, is_endless=endless)


def _upright(frame: Any) -> np.ndarray:
    image: np.ndarray = frame.to_ndarray(format="rgb24")
    quarters = round(frame.rotation / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image
