"""The checksums of PNG files, which Pillow does not compare: damaged pixels are never read.

ISO/IEC 15948 (PNG, third edition): every chunk ends with the CRC-32 of its type and data, the IDAT
chunks together are one zlib stream, which ends with the Adler-32 of what it unpacks to, and the
header says how long that is.
"""

import struct
import zlib
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
#: (first column, first row, columns from one to the next, rows) of the passes of Adam7.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
#: Bytes that are unpacked at a time: an image is never in memory as a whole here.
_STEP = 1 << 20


def check_png(content: bytes) -> None:
    """Compare all checksums of a PNG, and the length of its pixels with what its header promises.

    Args:
        content: The file. What follows the end of the image is not looked at.

    Raises:
        ValueError: It is damaged; the message says where.
    """
    chunks = _chunks(content)
    kind, header = next(chunks)
    if kind != b"IHDR" or len(header) != 13:
        raise ValueError("it does not begin with a header")
    promised = _promised_length(header)
    unpacker = zlib.decompressobj()
    found = 0
    for kind, data in chunks:
        if kind != b"IDAT" or unpacker.eof:
            continue
        for part in _parts(data):
            while part and not unpacker.eof:
                try:
                    found += len(unpacker.decompress(part, _STEP))
                except zlib.error as error:
                    raise ValueError(f"its pixels cannot be unpacked: {error}") from None
                if found > promised:
                    message = f"it holds more than the {promised} bytes of pixels of its size"
                    raise ValueError(message)
                part = unpacker.unconsumed_tail
    if not unpacker.eof or found < promised:
        raise ValueError(f"it holds {found} of the {promised} bytes of pixels of its size")


def _parts(data: bytes) -> Iterator[bytes]:
    """Cut a chunk, which may hold all of an image; what is left of a part is copied often."""
    for first in range(0, len(data), _STEP // 16):
        yield data[first : first + _STEP // 16]


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and the data of each chunk up to the end of the image."""
    if not content.startswith(_SIGNATURE):
        raise ValueError("it does not begin as a PNG does")
    place, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        if place + 12 > len(content):
            raise ValueError("it ends before the image does")
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 8 + length
        if end + 4 > len(content):
            raise ValueError(f"it ends within the chunk at byte {place}")
        (expected,) = struct.unpack_from(">I", content, end)
        if zlib.crc32(memoryview(content)[place + 4 : end]) != expected:
            raise ValueError(f"the checksum of the chunk at byte {place} is wrong")
        yield kind, content[place + 8 : end]
        place = end + 4


def _promised_length(header: bytes) -> int:
    """Return the bytes that all rows take, each with the byte that names its filter."""
    width, height, depth, color_type, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if color_type not in _CHANNELS:
        raise ValueError(f"its colour type {color_type} is unknown")
    bits = depth * _CHANNELS[color_type]
    total = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total
