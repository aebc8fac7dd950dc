import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data.files import read_mask
from gcn_jax.data.images import read_image
from gcn_jax.data.png import check_png
from gcn_jax.data.problems import Problem
from tests.helpers.png import png_chunk, raw_png

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (13, 21, 3)).astype(np.uint8)


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def interlaced(array):
    """Encode grey uint8 as Adam7, which Pillow reads and does not write."""
    rows = b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):  # fmt: skip
        part = array[top::down, left::across]
        rows += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    header = struct.pack(">IIBBBBB", *array.shape[::-1], 8, 0, 0, 0, 1)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_whole_files_of_every_kind_are_accepted(mode):
    grey = Image.fromarray(NOISE[..., 0])
    image = Image.fromarray(NOISE[..., 0].astype(np.uint16)) if mode == "I;16" else None
    check_png(encoded(image or grey.convert(mode)))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (13, 21)])
def test_interlaced_files_are_accepted(tmp_path, size):
    array = NOISE[: size[0], : size[1], 0]
    (tmp_path / "a.png").write_bytes(interlaced(array))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), array)


def test_what_follows_the_image_is_tolerated(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(NOISE)) + b"and more")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), NOISE)


def test_every_flipped_bit_is_noticed(tmp_path):
    whole = encoded(Image.fromarray(NOISE[..., 0] % 21))
    path = tmp_path / "mask.png"
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << RNG.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(Problem, match=r"mask.png: "):
            read_mask(path)


def test_few_pixels_for_a_large_header_are_refused_before_they_are_unpacked(tmp_path):
    header = struct.pack(">IIBBBBB", 9_000, 9_000, 8, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(bytes(9_001))), (b"IEND", b"")
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
    )
    with pytest.raises(Problem, match=r"a.png: .*it holds 9001 of the 81009000 bytes of pixels"):
        read_mask(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"GIF89a", "does not begin as a PNG does"),
        (b"\x89PNG\r\n\x1a\n", "it ends before the image does"),
        (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IEND", b""), "does not begin with a header"),
        (interlaced(NOISE[..., 0])[:60], "it ends within the chunk at byte 33"),
        (
            b"\x89PNG\r\n\x1a\n"
            + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
            + png_chunk(b"IDAT", zlib.compress(bytes(9)))
            + png_chunk(b"IEND", b""),
            "more than the 2 bytes of pixels",
        ),
    ],
)
def test_damage_is_named(content, message):
    with pytest.raises(ValueError, match=message):
        check_png(content)


def test_an_image_in_one_large_chunk_is_read_in_parts():
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    content = raw_png(noise)  # 180,000 bytes that cannot be packed
    check_png(content)
    data = content[41:-16]
    short = content[:33] + png_chunk(b"IDAT", data[:100_000]) + png_chunk(b"IEND", b"")
    with pytest.raises(ValueError, match=r"it holds \d+ of the 180200 bytes"):
        check_png(short)
