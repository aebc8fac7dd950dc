"""Files of 1, 2, 4 and more channels, of 8 and 16 bits, read as they are stored."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from gcn_jax.data.channels import load_channels
from gcn_jax.data.image_files import ImageFiles
from gcn_jax.data.problems import Problem

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
FOUR = RNG.integers(0, 256, (5, 7, 4), dtype=np.uint8)
DEEP = RNG.integers(0, 4096, (5, 7, 4), dtype=np.uint16)
NINE = RNG.integers(0, 256, (5, 7, 9), dtype=np.uint8)


def swapped(image):
    """As OpenCV writes it: blue, green, red, alpha."""
    return image[..., [2, 1, 0, 3]]


def write(path, image):
    if path.suffix == ".npy":
        np.save(path, image)
    elif image.ndim == 2 and image.dtype == np.uint8:
        Image.fromarray(image).save(path)
    else:
        assert cv2.imwrite(str(path), image if image.ndim == 2 else swapped(image))
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
@pytest.mark.parametrize(
    ("image", "expected"),
    [(GREY, GREY[..., None]), (FOUR, FOUR), (DEEP, DEEP), (DEEP[..., 1], DEEP[..., 1:2])],
)
def test_what_is_stored_is_read(tmp_path, image, expected, suffix):
    path = write(tmp_path / f"one{suffix}", image)
    read, facts = load_channels(path, expected.shape[2])
    assert read.dtype == image.dtype
    np.testing.assert_array_equal(read, expected)
    assert facts.is_deep == (image.dtype == np.uint16)
    assert facts.stored == (image.max() if facts.is_deep else None)
    assert facts.highest == image.max() // (257 if facts.is_deep else 1)


def test_array_of_nine_channels(tmp_path):
    read, _ = load_channels(write(tmp_path / "one.npy", NINE), 9)
    np.testing.assert_array_equal(read, NINE)


def test_bit_depth_says_what_is_brightest(tmp_path):
    path = write(tmp_path / "one.png", DEEP)
    for bits in (12, 11):
        read, facts = load_channels(path, 4, bit_depth=bits)
        share = np.minimum(DEEP / (2**bits - 1), 1)
        np.testing.assert_allclose(read / 65535, share, atol=0.5 / 65535)
        assert len(np.unique(read)) == len(np.unique(np.minimum(DEEP, 2**bits - 1)))
        assert (facts.stored, facts.highest) == (DEEP.max(), read.max() // 257)
    read, _ = load_channels(write(tmp_path / "two.png", FOUR), 4, bit_depth=12)
    np.testing.assert_allclose(read / 65535, FOUR / 255, rtol=1e-12)


def test_predicted_images_with_more_bits_are_refused(tmp_path):
    path = write(tmp_path / "one.png", DEEP)
    assert ImageFiles([path], 12, 4)[0]["image"].dtype == np.uint16
    with pytest.raises(Problem, match=rf"one.png: it holds the value {DEEP.max()}, .* 11 bits"):
        ImageFiles([path], 11, 4)[0]


def test_black_and_white_is_one_channel(tmp_path):
    Image.fromarray(GREY > 128).save(tmp_path / "one.png")
    read, _ = load_channels(tmp_path / "one.png", 1)
    np.testing.assert_array_equal(read[..., 0], np.where(GREY > 128, 255, 0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_upright_as_pillow_does(tmp_path, orientation):
    image = Image.fromarray(GREY)
    image.getexif()[0x0112] = orientation
    image.save(tmp_path / "one.png", exif=image.getexif())
    with Image.open(tmp_path / "one.png") as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    read, facts = load_channels(tmp_path / "one.png", 1)
    np.testing.assert_array_equal(read[..., 0], expected)
    assert facts.orientation == orientation


@pytest.mark.parametrize(
    ("name", "image", "channels", "message"),
    [
        ("a.png", GREY, 4, "a.png: it has 1 channel, where data.channels is 4"),
        ("a.png", FOUR, 1, "a.png: it has 4 channels, where data.channels is 1"),
        ("a.npy", NINE, 4, "a.npy: it has 9 channels, where data.channels is 4"),
        ("a.npy", NINE / 255, 9, r"float64 \[5, 7, 9\]; an image is uint8 or uint16 \[H, W, C\]"),
        ("a.npy", NINE[0, 0], 9, r"uint8 \[9\]; an image is"),
        ("a.npy", np.array([{}]), 1, "a.npy: not a readable array"),
    ],
)
def test_other_channels_and_kinds_are_refused(tmp_path, name, image, channels, message):
    with pytest.raises(Problem, match=message):
        load_channels(write(tmp_path / name, image), channels)


def test_damaged_and_missing_files_are_named(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, NINE)
    (tmp_path / "cut.npy").write_bytes(buffer.getvalue()[:100])
    for name, message in (("cut.npy", "not a readable array"), ("none.npy", "no such file")):
        with pytest.raises(Problem, match=f"{name}: {message}"):
            load_channels(tmp_path / name, 9)
