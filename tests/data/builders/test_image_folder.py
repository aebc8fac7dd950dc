"""Images with one class each: folders for each class, and single drawn objects."""

import shutil

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data import open_split
from gcn_jax.data.builders.shapes import SingleShapes
from gcn_jax.data.shapes import world as shapes
from gcn_jax.errors import UserError


def save(path, value, size=(9, 7)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 0, 0)).save(path)


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "val"):
        save(tmp_path / "root" / split / "dog/1.png", 10)
        save(tmp_path / "root" / split / "cat/1.png", 20, size=(4, 5))
    save(tmp_path / "root/train/cat/.hidden.png", 30)
    (tmp_path / "root/train/cat/notes.txt").write_text("no image")
    return tmp_path / "root"


def test_the_label_of_every_pixel_is_the_folder_of_its_image(folder, tmp_path):
    options = {"manual_dir": str(folder), "data_dir": str(tmp_path / "data")}
    source = open_split("image_folder:train", options)
    assert source.class_names == ("cat", "dog")
    assert [source[i]["id"] for i in range(len(source))] == ["cat/1.png", "dog/1.png"]
    for i, (shape, value) in enumerate([((5, 4), 20), ((7, 9), 10)]):
        np.testing.assert_array_equal(source[i]["label"], np.full(shape, i))
        np.testing.assert_array_equal(source[i]["image"][..., 0], np.full(shape, value))
    save(folder / "train/ant/1.png", 40)  # the prepared copy is made anew
    assert open_split("image_folder:train", options).class_names == ("ant", "cat", "dog")


def break_image(folder):
    (folder / "train/dog/1.png").write_bytes(b"no image")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: save(folder / "all/cat/1.png", 1), "no split can be called 'all'"),
        (lambda folder: shutil.rmtree(folder / "val"), "no split 'val'; it has train"),
        (break_image, "dog/1.png: not a readable image"),
    ],
)
def test_problems_are_named(folder, tmp_path, spoil, message):
    spoil(folder)
    with pytest.raises(UserError, match=message):
        open_split(
            "image_folder:val", {"manual_dir": str(folder), "data_dir": str(tmp_path / "data")}
        )


def test_a_folder_needs_classes(tmp_path):
    save(tmp_path / "train/cat/1.png", 10)
    with pytest.raises(UserError, match="has 1 folders SPLIT/CLASS/, such as train/cat/"):
        open_split("image_folder:train", {"manual_dir": str(tmp_path)})
    with pytest.raises(UserError, match="nowhere is not a folder"):
        open_split("image_folder:train", {"manual_dir": str(tmp_path / "nowhere")})


def test_single_shapes_are_one_object_each(tmp_path, monkeypatch):
    monkeypatch.setattr(SingleShapes, "splits", {"train": (40, 1)})
    source = open_split("single_shapes:train", {"data_dir": str(tmp_path)})
    assert source.class_names == shapes.CLASS_NAMES[1:]
    labels = []
    for i in range(len(source)):
        drawn = shapes.render_one(1, i)
        for name in ("image", "label"):
            np.testing.assert_array_equal(source[i][name], drawn[name])
        assert drawn["image"].shape == (64, 64, 3)
        labels.append(int(np.unique(drawn["label"]).item()))
    assert len(set(labels)) > 7
    assert set(labels) <= set(range(10))


def test_bit_depths_are_compared_over_all_images(folder, tmp_path, capsys):
    options = {"manual_dir": str(folder), "data_dir": str(tmp_path / "data")}
    image = folder / "val/dog/1.png"
    Image.fromarray(np.full((7, 9), 4095, np.uint16)).save(image)  # 12 bits: 15 of 255
    with pytest.raises(UserError, match="images with 16 bits in val hold no value above 4095"):
        open_split("image_folder:train", options)
    Image.fromarray(np.full((7, 9), 65535, np.uint16)).save(image)
    open_split("image_folder:train", options)
    assert "val: 1 images have 16 bits, 1 have 8" in capsys.readouterr().out
