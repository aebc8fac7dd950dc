"""Readers of images and masks, by the formats that Pillow writes."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gcn_jax.data.files import read_mask
from gcn_jax.data.images import read_image
from tests.fuzz import mutations
from tests.fuzz.cases import Reader
from tests.helpers.png import png_chunk

_RNG = np.random.default_rng(0)
_GREY = _RNG.integers(0, 200, (13, 17)).astype(np.uint8)
_COLOR = _RNG.integers(0, 256, (13, 17, 3)).astype(np.uint8)
_LABEL = (_GREY // 50).astype(np.uint8)


def _palette(labels: np.ndarray) -> Image.Image:
    image = Image.fromarray(labels)
    image.putpalette(bytes(range(12)))
    return image


def _saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _grey_png(depth: int) -> bytes:
    """Write grey of few bits, which Pillow cannot: labels 0 to 3, as many as fit."""
    labels = _LABEL % 2**depth
    bits = ((labels[..., None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(len(labels), -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits.astype(np.uint8))
    header = struct.pack(">IIBBBBB", labels.shape[1], labels.shape[0], depth, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


_IMAGES: dict[str, bytes] = {
    "JPEG": _saved(Image.fromarray(_COLOR), "JPEG"),
    "JPEG, grey, progressive": _saved(Image.fromarray(_GREY), "JPEG", progressive=True),
    "JPEG, turned": _saved(Image.fromarray(_COLOR), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0"
                           b"\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
    "PNG": _saved(Image.fromarray(_COLOR), "PNG"),
    "PNG, 16 bit": _saved(Image.fromarray(_GREY.astype(np.uint16) * 256), "PNG"),
    "PNG, 1 bit": _saved(Image.fromarray(_GREY > 100), "PNG"),
    "PNG, palette": _saved(_palette(_LABEL), "PNG"),
    "BMP": _saved(Image.fromarray(_COLOR), "BMP"),
    "TIFF": _saved(Image.fromarray(_COLOR), "TIFF"),
    "TIFF, LZW": _saved(Image.fromarray(_COLOR), "TIFF", compression="tiff_lzw"),
    "TIFF, Deflate": _saved(Image.fromarray(_COLOR), "TIFF", compression="tiff_adobe_deflate"),
    "WebP": _saved(Image.fromarray(_COLOR), "WEBP"),
    "WebP, lossless": _saved(Image.fromarray(_COLOR), "WEBP", lossless=True),
}  # fmt: skip

_MASKS: dict[str, bytes] = {
    "PNG, grey": _saved(Image.fromarray(_LABEL), "PNG"),
    "PNG, palette": _saved(_palette(_LABEL), "PNG"),
    "PNG, 1 bit": _grey_png(1),
    "PNG, 2 bit": _grey_png(2),
    "PNG, 4 bit": _grey_png(4),
    "PNG, 16 bit": _saved(Image.fromarray(_LABEL.astype(np.uint16)), "PNG"),
    "TIFF": _saved(Image.fromarray(_LABEL), "TIFF"),
    "TIFF, LZW": _saved(Image.fromarray(_LABEL), "TIFF", compression="tiff_lzw"),
    "BMP": _saved(_palette(_LABEL), "BMP"),
    "GIF": _saved(_palette(_LABEL), "GIF"),
    "NPY": _npy(_LABEL),
}


def _reader(kind: str, name: str, content: bytes, read: Callable[[Path], Any]) -> Reader:
    file = "file." + name.partition(",")[0].lower()
    return Reader(
        f"{kind}: {name}",
        write=lambda folder: (folder / file).write_bytes(content),
        read=lambda folder: read(folder / file),
        mutate=mutations.of_bytes,
        checksum=name.startswith("PNG"),
    )


READERS = (
    *(_reader("image", name, content, read_image) for name, content in _IMAGES.items()),
    *(_reader("mask", name, content, read_mask) for name, content in _MASKS.items()),
)
