"""Opening image files: whole, undamaged, one picture each, and how deep their pixels are stored."""

import contextlib
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image, TiffImagePlugin

from gcn_jax.data.png import check_png
from gcn_jax.data.problems import Problem

#: Formats whose files may hold several pictures. (A camera's MPO is a JPEG with previews.)
_MANY_FRAMES = ("GIF", "TIFF", "PNG", "WEBP")
#: TIFF's tag of a page's kind, and those kinds that are no picture of their own.
_PAGE_KIND, _REDUCED, _MASK = 254, 1, 4

#: A file of so many bytes at most is not given more than so many bytes of memory.
_SMALL, _MOST_MEMORY = 2**20, 2**30


class Opened(NamedTuple):
    """An image file that was opened and decoded.

    Attributes:
        image: The picture.
        raw_mode: How the file stores its pixels, as Pillow calls it, such as "L;4".
        is_deep: Whether the file stores 16 bits a channel; Pillow keeps 8 of them in colour.
        is_lossy: Whether its compression changes pixels.
        num_bytes: The size of the file.
    """

    image: Image.Image
    raw_mode: str
    is_deep: bool
    is_lossy: bool
    num_bytes: int


#: What Pillow raises where a file is damaged; most of it is not documented.
_OF_PILLOW = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
    Image.DecompressionBombError,
)


@contextlib.contextmanager
def open_image(file: str | Path | io.BytesIO, name: str) -> Iterator[Opened]:
    """Open and decode an image file.

    Args:
        file: A path, or a file object of encoded bytes: those of a prepared copy, which were
            checked before it was made, and whose records have checksums of their own.
        name: What to call the file in an error.

    Raises:
        Problem: The file is missing, damaged, not an image, or holds several pictures.
    """
    try:
        with Image.open(file) as image:
            if not isinstance(file, io.BytesIO):
                if image.format == "PNG":
                    check_png(Path(file).read_bytes())
                _check_frames(image, name)
            raw_mode, is_lossy = _raw_mode(image), _is_lossy(image, file)
            if image.format == "BMP":
                _check_bmp(raw_mode, file, name)
            image.load()  # decode now, so that a truncated file is found here
            yield Opened(image, raw_mode, ";16" in raw_mode, is_lossy, _num_bytes(file))
    except Problem:
        raise
    except FileNotFoundError:
        raise Problem("missing file", f"{name}: no such file") from None
    except _OF_PILLOW as error:
        message = f"{name}: not a readable image ({error})"
        raise Problem("unreadable file", message) from None


def check_plausible(opened: Opened, name: str, bytes_per_pixel: int = 11) -> None:
    """Check that a small file does not unpack to an array of more than a GiB, copies included.

    Masks of one byte a pixel never do: Pillow itself refuses what has over 179 million pixels.
    Whoever lifted that limit knows the files, and nothing is checked.

    Args:
        opened: An image.
        name: What to call the file in an error.
        bytes_per_pixel: How much memory it takes until it is in an array; by default as RGB.

    Raises:
        Problem: It does.
    """
    refuse_implausible(opened.image.size, bytes_per_pixel, opened.num_bytes, name)


def refuse_implausible(
    size: tuple[int, int], bytes_per_pixel: int, num_bytes: int, name: str
) -> None:
    """Do what `check_plausible` does.

    Args:
        size: (width, height) that the header says.
        bytes_per_pixel: How much memory it takes until it is in an array.
        num_bytes: The size of the file.
        name: What to call it.

    Raises:
        Problem: It is small, and unpacks to more than a GiB.
    """
    width, height = size
    is_checked = num_bytes <= _SMALL and Image.MAX_IMAGE_PIXELS is not None
    if is_checked and width * height * bytes_per_pixel > _MOST_MEMORY:
        raise Problem(
            "unreadable file",
            f"{name}: {width} x {height} pixels in {num_bytes:,} bytes, which no photo has; "
            "the file is damaged, or empty",
        )


def _num_bytes(file: str | Path | io.BytesIO) -> int:
    return file.getbuffer().nbytes if isinstance(file, io.BytesIO) else Path(file).stat().st_size


def _check_frames(image: Image.Image, name: str) -> None:
    frames = getattr(image, "n_frames", 1) if image.format in _MANY_FRAMES else 1
    if frames > 1 and isinstance(image, TiffImagePlugin.TiffImageFile):
        kinds = []
        for number in range(frames):
            image.seek(number)
            kinds.append(int(image.tag_v2.get(_PAGE_KIND, 0)))
        image.seek(0)
        frames = sum(not kind & (_REDUCED | _MASK) for kind in kinds)
    if frames > 1:
        raise Problem(
            "several frames",
            f"{name}: {frames} frames or pages in one file ({image.format}), of which only the "
            "first would be read; save each as a file of its own",
        )


def _raw_mode(image: Image.Image) -> str:
    for tile in getattr(image, "tile", ()):
        raw_mode = tile[3] if isinstance(tile[3], str) else tile[3] and tile[3][0]
        return str(raw_mode)
    return ""


def _check_bmp(raw_mode: str, file: str | Path | io.BytesIO, name: str) -> None:
    """Refuse greys of a BMP that Pillow unpacks as if they had another number of bits."""
    header = file.getvalue()[:30] if isinstance(file, io.BytesIO) else _first(file, 30)
    place = 24 if header[14:18] == b"\x0c\0\0\0" else 28  # of OS/2, and of Windows
    bits = int.from_bytes(header[place : place + 2], "little")
    if bits != {"1": 1, "L": 8}.get(raw_mode, bits):
        raise Problem("unreadable file", f"{name}: a BMP of greys of {bits} bits; save it as PNG")


def _is_lossy(image: Image.Image, file: str | Path | io.BytesIO) -> bool:
    if image.format == "WEBP":  # the plain format without losses has its mark after the size
        header = file.getvalue()[:16] if isinstance(file, io.BytesIO) else _first(file, 16)
        return header[12:] != b"VP8L"
    if image.format == "TIFF":
        return "jpeg" in str(image.info.get("compression")) or "webp" in str(
            image.info.get("compression")
        )
    return image.format in ("JPEG", "MPO", "JPEG2000", "AVIF")


def _first(file: str | Path, count: int) -> bytes:
    with open(file, "rb") as opened:
        return opened.read(count)
