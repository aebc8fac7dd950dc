"""TIFFs of more bands than Pillow knows, of 8 and 16 bits, whole and damaged."""

import sys

import numpy as np
import pytest

from gcn_jax.data.channels import load_channels
from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError

tifffile = pytest.importorskip("tifffile", reason="pip install 'gcn-jax[tiff]'")

DEEP = np.random.default_rng(0).integers(0, 65536, (37, 23, 7), dtype=np.uint16)
EIGHT = (DEEP >> 8).astype(np.uint8)


def write(path, image, planar=False, **how):
    """Write bands `[H, W, C]`, interleaved or one plane after the other."""
    how |= {"planarconfig": "separate" if planar else "contig"}
    stored = np.moveaxis(image, -1, 0) if planar else image
    tifffile.imwrite(path, stored, photometric="minisblack", metadata=None, **how)
    return path


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(
    ("image", "how"),
    [
        (DEEP, {}),
        (EIGHT, {"compression": "zlib"}),
        (DEEP, {"compression": "zlib", "predictor": True, "bigtiff": True, "byteorder": ">"}),
        (DEEP, {"tile": (16, 16)}),
        (DEEP[..., :4], {}),
        (EIGHT[..., :2], {}),
    ],
)
def test_bands_are_read_as_they_are_stored(image, how, planar, tmp_path):
    read, facts = load_channels(write(tmp_path / "a.tif", image, planar, **how), image.shape[2])
    assert read.dtype == image.dtype
    np.testing.assert_array_equal(read, image)
    assert facts.is_deep == (image.dtype == np.uint16)


def test_turned_upright(tmp_path):
    path = write(tmp_path / "a.tif", DEEP, extratags=[(274, 3, 1, 6, True)])
    read, facts = load_channels(path, 7)
    np.testing.assert_array_equal(read, np.rot90(DEEP, 3))
    assert facts.orientation == 6


def changed(path, tag, value):
    """Change the value of a tag of a file in place."""
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        found = file.pages[0].tags[tag]
        size = {3: 2, 4: 4}[found.dtype] * found.count
        content[found.valueoffset : found.valueoffset + size] = value.to_bytes(size, "little")
    path.write_bytes(content)


def test_what_is_wrong_gets_one_line(tmp_path, capfd):
    path = tmp_path / "a.tif"

    def refused(match):
        with pytest.raises(Problem, match=match) as caught:
            load_channels(path, 7)
        assert "\n" not in str(caught.value)

    whole = write(path, EIGHT).read_bytes()
    with pytest.raises(Problem, match=r"a.tif: it has 7 channels, where data.channels is 5"):
        load_channels(path, 5)
    path.write_bytes(whole[: len(whole) // 2])
    refused(r"a.tif: not a readable image \(failed to read")
    path.write_bytes(whole[:150])
    refused("a.tif: ")
    write(path, EIGHT)
    changed(path, 259, 5)
    refused("a.tif: packed as LZW: pip install imagecodecs, or save it with deflate, or unpacked")
    write(path, EIGHT)
    changed(path, 256, 60_000)
    changed(path, 257, 60_000)
    refused(r"a.tif: 60000 x 60000 pixels in [\d,]+ bytes, which no photo has")
    write(path, DEEP.astype(np.float32))
    refused(r"a.tif: its values are float32 \[37, 23, 7\]; an image has bands of uint8 or uint16")
    write(path, np.stack([EIGHT, EIGHT]))
    refused("a.tif: it holds 2 pictures; an image is one")
    assert capfd.readouterr() == ("", "")


def test_tifffile_is_asked_for_where_it_is_needed(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tif", EIGHT)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(UserError, match=r"needs tifffile.*pip install 'gcn-jax\[tiff\]'"):
        load_channels(path, 7)
