import base64
import io

import numpy as np
from PIL import Image

from gcn_jax.report import pictures

PALETTE = pictures.full_palette([(0, 0, 0), (200, 0, 0), (0, 100, 0)])


def test_palette_has_the_classes_and_then_grey():
    assert PALETTE.shape == (256, 3)
    np.testing.assert_array_equal(PALETTE[:4], [[0, 0, 0], [200, 0, 0], [0, 100, 0], [128] * 3])


def test_overlay_mixes_image_and_colours():
    image = np.full((1, 2, 3), 100, np.uint8)
    label = np.array([[1, 2]])
    mixed = pictures.overlay(image, label, PALETTE, alpha=0.25)
    np.testing.assert_array_equal(mixed, [[[125, 75, 75], [75, 100, 75]]])
    np.testing.assert_array_equal(pictures.overlay(image, label, PALETTE, alpha=0), image)
    np.testing.assert_array_equal(pictures.overlay(image, label, PALETTE, 1), PALETTE[label])


def test_error_map_leaves_void_out():
    label = np.array([[0, 1, 255, 255]], np.uint8)
    prediction = np.array([[0, 0, 1, 0]])
    right, wrong, void = pictures.RIGHT, pictures.WRONG, pictures.VOID
    np.testing.assert_array_equal(
        pictures.error_map(label, prediction, 255), [[right, wrong, void, void]]
    )
    assert len(pictures.ERROR_NAMES) == len(pictures.ERROR_PALETTE) == 3


def test_legend_wraps_and_has_each_colour():
    colors = [(250, 10, 10), (10, 250, 10), (10, 10, 250)]
    names = ["background", "aéroplane", "a long name"]
    wide, narrow = (pictures.legend(names, colors, width) for width in (600, 130))
    assert wide.shape[1:] == (600, 3)
    assert narrow.shape[1:] == (130, 3)
    assert narrow.shape[0] > 2 * wide.shape[0]
    for picture in (wide, narrow):
        for color in colors:
            assert (picture == color).all(axis=-1).sum() > 80


def test_overlay_with_legend_names_only_what_is_there():
    image = np.full((40, 300, 3), 60, np.uint8)
    label = np.zeros((40, 300), np.int32)
    label[:, :150] = 2
    painted = pictures.overlay_with_legend(image, label, PALETTE, ["sky", "car", "tree"])
    picture = np.asarray(painted)
    assert picture.shape[1] == 300
    assert picture.shape[0] > 40
    np.testing.assert_array_equal(picture[:40], pictures.overlay(image, label, PALETTE))
    legend = picture[40:]
    assert (legend == PALETTE[2]).all(axis=-1).any()
    assert not (legend == PALETTE[1]).all(axis=-1).any()


def test_small_image_gets_room_for_its_legend():
    painted = pictures.overlay_with_legend(
        np.zeros((5, 7, 3), np.uint8), np.ones((5, 7), int), PALETTE, ["sky", "car", "tree"]
    )
    picture = np.asarray(painted)
    assert picture.shape[1] == 160
    assert (picture[:5, 7:] == 255).all()


def test_indexed_picture_keeps_labels_and_colours():
    label = np.array([[0, 1], [2, 255]])
    file = Image.open(io.BytesIO(pictures.encode(pictures.indexed(label, PALETTE))))
    assert (file.format, file.mode) == ("PNG", "P")
    np.testing.assert_array_equal(np.asarray(file), label)
    np.testing.assert_array_equal(np.asarray(file.convert("RGB")), PALETTE[label])


def test_data_uri_holds_the_file():
    picture = Image.new("RGB", (3, 2), (9, 9, 9))
    head, body = pictures.data_uri(picture, "JPEG").split(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).size == (3, 2)
