from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data.image_files import ImageFiles, find_images, output_names
from gcn_jax.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.PNG", "c.tif"):
        Image.new("L", (4, 3), 7).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_folder_gives_its_images_in_order_and_each_once(folder):
    found = find_images([folder / "c.tif", folder, str(folder / "b.jpg")])
    assert [path.name for path in found] == ["c.tif", "a.PNG", "b.jpg"]


def test_missing_path_and_folder_without_images_are_named(folder):
    with pytest.raises(UserError, match=r"none\.jpg: no such file or folder"):
        find_images([folder / "none.jpg"])
    with pytest.raises(UserError, match=r"empty has no images \(\.jpg"):
        find_images([folder / "empty"])


def test_folders_are_entered_where_that_is_asked_for_and_hidden_ones_never(folder):
    for name in ("d/e/b.png", ".cache/x.png", "d/._b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 3), 7).save(folder / name)
    found = find_images([folder], recursive=True)
    assert [(path.name, str(below)) for path, below in found.items()] == [
        ("a.PNG", "."),
        ("b.jpg", "."),
        ("c.tif", "."),
        ("b.png", "d/e"),
    ]


def test_files_are_read_when_their_turn_comes(folder):
    files = ImageFiles([folder / "b.jpg", folder / "notes.txt"])
    assert len(files) == 2
    sample = files[0]
    assert sample["id"] == str(folder / "b.jpg")
    np.testing.assert_array_equal(sample["image"], np.full((3, 4, 3), 7, np.uint8))
    with pytest.raises(UserError, match=r"notes\.txt: not a readable image"):
        files[1]


def names(*paths):
    return output_names([Path("/photos") / path for path in paths])


def test_names_are_stems_where_stems_differ():
    assert names("x/a.jpg", "x/b.png", "y/c.d.png") == ["a", "b", "c.d"]


def test_names_tell_suffixes_and_folders_apart():
    assert names("x/a.jpg", "x/a.png") == ["a_jpg", "a_png"]
    assert names("x/a.jpg", "y/a.jpg") == ["x_a", "y_a"]
    assert names("x/a.jpg", "x/a.png", "y/A.png") == ["x_a_jpg", "x_a_png", "y_A"]


def test_names_never_meet_another_ones_overlay():
    assert names("x/a.png", "x/a_overlay.png") == ["a", "a_overlay_2"]
    # Two folders of the same name, in different places.
    assert names("p/x/a.png", "q/x/a.png") == ["x_a", "x_a_2"]


def test_many_files_are_named_at_once():
    paths = [f"{folder}/{i}.png" for folder in "xy" for i in range(5000)]
    assert names(*paths) == [path.removesuffix(".png").replace("/", "_") for path in paths]
