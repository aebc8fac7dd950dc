"""Images as 8-bit RGB: which bits are kept of files with 16, and large ones in parts."""

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data import Source, images, prepare
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.data.image_files import ImageFiles
from gcn_jax.data.problems import Problem
from tests.helpers.case_folders import deep, make_folder, scene
from tests.helpers.png import raw_png

TWELVE_BITS = np.array([[0, 15, 16], [2048, 4000, 4095]], np.uint16)
UPPER_EIGHT = [[0, 0, 1], [128, 250, 255]]


@pytest.mark.parametrize("name", ["grey.png", "grey.tif"])
def test_the_upper_8_of_so_many_bits_are_kept(tmp_path, name):
    Image.fromarray(TWELVE_BITS).save(tmp_path / name)
    image = images.read_image(tmp_path / name, bit_depth=12)
    np.testing.assert_array_equal(image, np.repeat(np.uint8(UPPER_EIGHT)[..., None], 3, -1))
    assert images.load_image(tmp_path / name, 12)[1] == (True, 255, 1, 4095)
    assert images.read_image(tmp_path / name, bit_depth=16).max() == 15
    (image,) = (example["image"] for example in ImageFiles([tmp_path / name], 14))
    assert image.max() == 4095 >> 6


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_keep_their_order_and_lose_their_alpha(tmp_path, channels):
    colors = np.zeros((1, 2, channels), np.uint16)
    colors[0, :, :3] = [[4095, 16, 0], [0, 1600, 3200]]
    colors[..., 3:] = 65_535
    (tmp_path / "a.png").write_bytes(raw_png(colors))
    expected = [[[255, 1, 0], [0, 100, 200]]]
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png", bit_depth=12), expected)
    assert images.load_image(tmp_path / "a.png", 12)[1].stored == 4095
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), [[[15, 0, 0], [0, 6, 12]]])


def test_orientation_is_kept_and_files_of_8_bits_are_as_they_are(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(TWELVE_BITS).save(tmp_path / "turned.png", exif=exif)
    image = images.read_image(tmp_path / "turned.png", bit_depth=12)
    np.testing.assert_array_equal(image[..., 0], np.rot90(UPPER_EIGHT, -1))
    Image.fromarray(np.uint8([[0, 200]])).save(tmp_path / "flat.png")
    assert images.read_image(tmp_path / "flat.png", bit_depth=12).max() == 200


def test_more_bits_than_there_should_be_are_refused(tmp_path):
    Image.fromarray(TWELVE_BITS + np.uint16(1)).save(tmp_path / "a.png")
    with pytest.raises(
        Problem, match=r"a\.png: it holds the value 4096, .* have 12 bits, 0\.\.4095"
    ):
        images.read_image(tmp_path / "a.png", bit_depth=12)
    image, facts = images.load_image(tmp_path / "a.png", 12)  # to be compared with all others
    assert (image.max(), facts.stored) == (255, 4096)


def test_a_set_is_prepared_with_the_bits_that_were_named(tmp_path):
    root = make_folder(tmp_path / "a", image=deep(4095), image_suffix=".tif")
    settings = {"manual_dir": str(root), "data_dir": str(tmp_path / "data"), "bit_depth": 12}
    builder = make_builder("folder", settings)
    prepare(builder)
    example = Source(builder, "val")[1]
    stored = (scene(7)[0].astype(np.float64).mean(-1) / 255 * 4095).astype(np.uint16)
    np.testing.assert_array_equal(example["image"], np.repeat((stored >> 4)[..., None], 3, -1))
    other = make_builder("folder", settings | {"bit_depth": 13})
    assert not other.is_prepared()  # another copy


def test_large_images_are_taken_over_in_parts(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (11, 7, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    monkeypatch.setattr(images, "_PIXELS_AT_A_TIME", 3 * 7 + 1)
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), noise)
