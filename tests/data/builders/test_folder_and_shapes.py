import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data import ClassTable, open_split, open_training_source
from gcn_jax.data.builders.registry import BUILDERS
from gcn_jax.data.builders.shapes import Shapes, ShapesFew
from gcn_jax.data.classes import voc_palette
from gcn_jax.data.shapes import world as shapes
from gcn_jax.errors import UserError
from tests.helpers.small_data import CLASS_NAMES, parallel_folders, save_mask


def test_voc_palette_is_the_published_one():
    # aeroplane, bicycle, ..., tvmonitor, and void, as the development kit prints them
    palette = voc_palette()
    assert palette[:6].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128],
    ]  # fmt: skip
    assert palette[20].tolist() == [0, 64, 128]
    assert palette[255].tolist() == [224, 224, 192]
    assert ClassTable(("a", "b"), ((1, 2, 3), (4, 5, 6))).palette[1].tolist() == [4, 5, 6]


def test_voc_folder_gives_what_its_files_hold(voc_folder, tmp_path):
    options = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path)}
    source = open_split("folder:train", options)
    assert len(source) == 12
    assert source.class_names == CLASS_NAMES
    example = source[3]
    assert example["id"] == "train_03"
    file = Image.open(voc_folder / "SegmentationClass/train_03.png")
    np.testing.assert_array_equal(example["label"], np.asarray(file))
    image = Image.open(voc_folder / "JPEGImages/train_03.jpg").convert("RGB")
    np.testing.assert_array_equal(example["image"], np.asarray(image))
    assert 255 in example["label"]
    with pytest.raises(IndexError):
        source[12]
    with pytest.raises(UserError, match="folder has no split 'test'; it has train, val"):
        open_split("folder:test", options)


def copy_of(voc_folder, tmp_path):
    """A folder to change, with the lists in reach."""
    root = Path(shutil.copytree(voc_folder, tmp_path / "copy"))
    return root, root / "ImageSets/Segmentation"


def test_list_without_masks_is_left_out(voc_folder, tmp_path):
    root, lists = copy_of(voc_folder, tmp_path)
    Image.new("RGB", (8, 8)).save(root / "JPEGImages/secret.jpg")
    (lists / "test.txt").write_text("secret\n")
    options = {"manual_dir": str(root), "data_dir": str(tmp_path)}
    with pytest.raises(UserError, match="folder has no split 'test'; it has train, val"):
        open_split("folder:test", options)
    (lists / "test.txt").write_text("secret\nval_00\n")
    with pytest.raises(UserError, match="'secret' has no mask"):
        open_split("folder:test", options)
    shutil.rmtree(root / "SegmentationClass")
    (root / "SegmentationClass").mkdir()
    with pytest.raises(UserError, match="no list names an image that has a mask in .*tionClass"):
        open_split("folder:train", options)


def test_lists_may_have_spaces_and_marks_of_windows(voc_folder, tmp_path):
    root, lists = copy_of(voc_folder, tmp_path)
    for name in ("JPEGImages/val_00.jpg", "SegmentationClass/val_00.png"):
        (root / name).rename((root / name).with_stem("my photo"))
    (lists / "val.txt").write_bytes(b"\xef\xbb\xbfmy photo \r\n\r\nval_01\r\n")
    classes = (root / "classes.txt").read_bytes()
    (root / "classes.txt").write_bytes(b"\xef\xbb\xbf" + classes)
    source = open_split("folder:val", {"manual_dir": str(root), "data_dir": str(tmp_path)})
    assert [example["id"] for example in source] == ["my photo", "val_01"]
    assert source.class_names == CLASS_NAMES


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("val.txt", b"val_00\nval_01\nval_00", r"folder:val lists 'val_00' 2 times"),
        ("all.txt", b"val_00", r"no split can be called 'all'; rename"),
        ("my val.txt", b"val_00", r"no split can be called 'my val'; rename"),
        ("../../classes.txt", b"b\xe4ume\nhaus", r"classes.txt: not UTF-8 text"),
    ],
)
def test_problems_of_lists_are_named(voc_folder, tmp_path, name, content, message):
    root, lists = copy_of(voc_folder, tmp_path)
    (lists / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        open_split("folder:train", {"manual_dir": str(root), "data_dir": str(tmp_path)})


def test_validation_split_may_hold_one_class(voc_folder, tmp_path):
    root, lists = copy_of(voc_folder, tmp_path)
    (lists / "val.txt").write_text("val_00\n")
    mask = root / "SegmentationClass/val_00.png"
    save_mask(np.ones_like(np.asarray(Image.open(mask))), mask)
    source = open_split("folder:val", {"manual_dir": str(root), "data_dir": str(tmp_path)})
    assert (source[0]["label"] == 1).all()


def test_parallel_folders_are_split_by_name(tmp_path):
    parallel_folders(tmp_path / "mine")
    options = {"manual_dir": str(tmp_path / "mine"), "data_dir": str(tmp_path)}
    ids = {
        split: {example["id"] for example in open_split(f"folder:{split}", options)}
        for split in ("train", "val")
    }
    assert ids["train"] | ids["val"] == {str(i) for i in range(20)}
    assert not ids["train"] & ids["val"]
    assert 1 <= len(ids["val"]) <= 5


def test_subfolders_are_splits(tmp_path):
    parallel_folders(tmp_path / "mine", 3, ("train", "holdout"))
    options = {"manual_dir": str(tmp_path / "mine"), "data_dir": str(tmp_path)}
    assert len(open_split("folder:holdout", options)) == 3


def test_changed_folder_is_prepared_anew(tmp_path):
    root = tmp_path / "mine"
    parallel_folders(root, 3, ("train",))
    options = {"manual_dir": str(root), "data_dir": str(tmp_path)}
    before = open_split("folder:train", options)[0]["label"]
    changed = np.asarray(Image.open(root / "masks/train/0.png")).copy()
    changed[0, 0] = 2
    save_mask(changed, root / "masks/train/0.png")
    after = open_split("folder:train", options)[0]["label"]
    assert before[0, 0] != 2
    assert after[0, 0] == 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: (r / "classes.txt").unlink(), r"classes.txt is missing; write one class name"),
        (lambda r: (r / "classes.txt").write_text("a\na"), r"2 to 255 different class names"),
        (lambda r: (r / "classes.txt").write_text("a\nb"), r"label 2 .* where the 2 classes"),
        (lambda r: (r / "masks/train/1.png").unlink(), r"'1' has no mask"),
        (lambda r: shutil.rmtree(r / "masks/train"), r"masks/train is missing"),
        (lambda r: shutil.rmtree(r / "images"), r"has neither .* nor the folders images/"),
        (
            lambda r: Image.new("RGB", (40, 32), "red").save(r / "masks/train/1.png"),
            r"masks/train/1.png: a colour image",
        ),
        (
            lambda r: Image.new("L", (40, 31)).save(r / "masks/train/1.png"),
            r"masks/train/1.png: the mask is 40x31 pixels, its image 40x32",
        ),
        (
            lambda r: (r / "images/train/1.png").write_bytes(b"PNG?"),
            r"images/train/1.png: not a readable image",
        ),
        (
            lambda r: [p.unlink() for p in r.glob("*/train/*")],
            r"the split 'train' is empty",
        ),
        (
            lambda r: [Image.new("L", (40, 32), 255 * (i == 1)).save(r / f"masks/train/{i}.png")
                       for i in range(3)],
            r"hold only the values \[0, 255\]",
        ),
    ],
)  # fmt: skip
def test_problems_of_a_folder_are_named_and_leave_nothing(tmp_path, spoil, message):
    root = tmp_path / "mine"
    parallel_folders(root, 3, ("train",))
    spoil(root)
    with pytest.raises(UserError, match=message):
        open_split("folder:train", {"manual_dir": str(root), "data_dir": str(tmp_path / "data")})
    assert not list((tmp_path / "data").rglob("*.array_record*"))


def test_settings_say_what_cannot_be_guessed(tmp_path):
    root = tmp_path / "mine"
    parallel_folders(root, 3, ("train", "val"))
    stored = np.array([[0, 1, 2, 3, 11, 255]], np.uint8)
    for path in (root / "masks").rglob("*.png"):
        Image.fromarray(stored).save(path.with_stem(f"{path.stem}_ids"))
        path.rename(path.with_stem(f"{path.stem}_color"))
        Image.new("RGB", (6, 1), (int(path.stem), 0, 0)).save(
            root / "images" / path.parent.name / path.name
        )
    settings = {"manual_dir": str(root), "data_dir": str(tmp_path), "mask_suffix": "_ids"}
    with pytest.raises(UserError, match="label 3 .*, 11 .* where the 3 classes are 0..2"):
        open_split("folder:train", settings)
    settings |= {"reduce_zero_label": True, "void_labels": (11,)}
    label = open_split("folder:train", settings)[0]["label"]
    assert label.tolist() == [[255, 0, 1, 2, 255, 255]]
    settings |= {"reduce_zero_label": False, "void_labels": (3, 11)}  # prepared anew
    label = open_split("folder:train", settings)[0]["label"]
    assert label.tolist() == [[0, 1, 2, 255, 255, 255]]


def test_unknown_names():
    with pytest.raises(UserError, match=r"unknown data set 'camvit' \(did you mean camvid\?\)"):
        open_split("camvit:train", {})
    with pytest.raises(UserError, match="'shapes' names no split; write it as shapes:train"):
        open_split("shapes", {})
    with pytest.raises(UserError, match="name the folder of your data"):
        open_split("folder:train", {})
    with pytest.raises(UserError, match=r"unknown data set 'sbt' \(did you mean sbd\?\)"):
        open_training_source(("sbt:train", "shapes:train"), {})
    with pytest.raises(UserError, match="data.train is empty"):
        open_training_source((), {})


def test_shapes_is_the_world_as_it_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(Shapes, "splits", {"train": (3, 1), "val": (2, 2)})
    source = open_split("shapes:val", {"data_dir": str(tmp_path)}, extra=("cue_distance",))
    assert (len(source), source.class_names) == (2, shapes.CLASS_NAMES)
    drawn = shapes.render(2, 1)
    for key in ("image", "label", "cue_distance"):
        np.testing.assert_array_equal(source[1][key], drawn[key])


def test_shapes_few_are_the_first_300_of_shapes(tmp_path, monkeypatch):
    monkeypatch.setattr(ShapesFew, "splits", ShapesFew.splits | {"val": (2, 2)})
    options = {"data_dir": str(tmp_path)}
    source = open_split("shapes_few:train", options)
    assert len(source) == 300
    for split, index, seed in (("train", 299, 1), ("val", 1, 2)):
        example = open_split(f"shapes_few:{split}", options)[index]
        np.testing.assert_array_equal(example["image"], shapes.render(seed, index)["image"])


def test_what_is_called_shapes_has_cues(tmp_path):
    """The studies count pixels by the distance to them."""
    for name, cls in BUILDERS.items():
        if issubclass(cls, Shapes):
            has_cues = "cue_distance" in cls(str(tmp_path)).info.features
            assert has_cues == name.startswith("shapes")


def test_nothing_needs_tensorflow(voc_folder, tmp_path):
    code = (
        "import sys\n"
        "from gcn_jax.data import open_split\n"
        f"o = {{'manual_dir': {str(voc_folder)!r}, 'data_dir': {str(tmp_path)!r}}}\n"
        "print(len(open_split('folder:val', o)), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "5 False"
