"""Validation finds every problem at once, and nothing where preparation succeeds."""

import io
import json
import os
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from gcn_jax.data import open_split, prepare
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.data.builders.shapes import Shapes
from gcn_jax.data.problems import Problem
from gcn_jax.data.statistics import class_weights
from gcn_jax.data.validation import validate
from gcn_jax.errors import UserError
from gcn_jax.report.validation_table import print_validation
from tests.helpers.published_data import PERSON, VOC_TRAIN, make_coco, make_sbd, make_voc
from tests.helpers.small_data import parallel_folders, save_mask


@pytest.fixture
def root(tmp_path):
    """Splits train and val of three images each."""
    parallel_folders(tmp_path / "mine", 3, ("train", "val"))
    return tmp_path / "mine"


def options(root):
    return {"manual_dir": str(root), "data_dir": str(root.parent / "data")}


def kinds(validation):
    return Counter(problem.kind for problem in validation.problems)


def save_grey(values, path):
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def spoil_foreground(root):
    for i in range(3):
        save_grey(np.full((32, 40), 255 * (i == 1)), root / f"masks/train/{i}.png")


def save_as_jpeg(path):
    Image.open(path).convert("L").save(path, "JPEG")


#: How to spoil a folder -> what that is called.
SPOILERS = {
    "class names": lambda r: (r / "classes.txt").write_text("a\na"),
    "layout": lambda r: shutil.rmtree(r / "masks/train"),
    "missing mask": lambda r: (r / "masks/train/1.png").unlink(),
    "same name": lambda r: shutil.copy(r / "images/val/1.png", r / "images/val/1.bmp"),
    "name of a split": lambda r: [path.rename(path.with_name("all")) for path in r.glob("*/val")],
    "empty split": lambda r: [path.unlink() for path in r.glob("*/val/*")],
    "unreadable file": lambda r: (r / "images/train/1.png").write_bytes(b"PNG?"),
    "lossy mask": lambda r: save_as_jpeg(r / "masks/train/1.png"),
    "name of an image": lambda r: [
        os.link(path, os.fsencode(path.parent) + b"/\xff.png") for path in r.glob("*/val/1.png")
    ],
    "colour mask": lambda r: Image.new("RGB", (40, 32), "red").save(r / "masks/train/1.png"),
    "size mismatch": lambda r: save_grey(np.zeros((31, 40)), r / "masks/val/1.png"),
    "label out of range": lambda r: (r / "classes.txt").write_text("a\nb"),
    "masks that teach nothing": spoil_foreground,
}  # fmt: skip


@pytest.mark.parametrize("kind", SPOILERS)
def test_what_preparation_refuses_is_found(root, kind):
    SPOILERS[kind](root)
    with pytest.raises(Problem) as refused:
        prepare(make_builder("folder", options(root)))
    assert refused.value.kind == kind
    found = validate("folder", options(root)).problems
    assert {problem.kind for problem in found} == {kind}
    first = str(found[0])
    assert str(refused.value).startswith(first)


def test_folder_that_can_be_prepared_has_no_problems(root):
    save_grey(np.zeros((32, 40)), root / "masks/val/0.png")  # odd, but allowed
    validation = validate("folder", options(root))
    assert validation.problems == []
    assert validation.remarks == ["val: masks of one value only: 1 (0)"]
    prepare(make_builder("folder", options(root)))
    for split, summary in validation.splits.items():
        kept = open_split(f"folder:{split}", options(root)).label_statistics
        assert summary.statistics.to_json() == kept.to_json()


def test_class_names_that_cannot_be_read_are_a_problem(root):
    (root / "classes.txt").unlink()
    (root / "classes.txt").mkdir()
    assert kinds(validate("folder", options(root))) == {"unreadable file": 1}


def test_what_tools_leave_behind_is_skipped(root):
    for folder in ("images", "masks"):
        (root / folder / "val/._1.png").write_bytes(b"resource fork")
    (root / "images/.ipynb_checkpoints").mkdir()
    validation = validate("folder", options(root))
    assert validation.problems == []
    assert {name: one.num_images for name, one in validation.splits.items()} == {
        "train": 3,
        "val": 3,
    }


def test_all_problems_are_found_at_once(root):
    (root / "masks/train/0.png").unlink()
    (root / "images/train/1.png").write_bytes(b"PNG?")
    label = np.asarray(Image.open(root / "masks/train/1.png")).copy()
    label[0, :7] = 9
    save_mask(label, root / "masks/train/1.png")
    Image.new("RGB", (40, 32), "red").save(root / "masks/val/0.png")
    save_grey(np.full((30, 40), 8), root / "masks/val/1.png")
    validation = validate("folder", options(root))
    assert kinds(validation) == {
        "missing mask": 1,
        "unreadable file": 1,
        "label out of range": 2,
        "colour mask": 1,
        "size mismatch": 1,
    }
    assert Counter(problem.split for problem in validation.problems) == {"train": 3, "val": 3}
    messages = " ".join(map(str, validation.problems))
    for part in ("masks/train/1.png: label 9 (7 px)", "masks/val/1.png: label 8 (1200 px)"):
        assert part in messages
    assert validation.splits["train"].num_images == 1
    with pytest.raises(Problem, match="'0' has no mask"):
        make_builder("folder", options(root))


def test_many_problems_of_lists_are_each_named(voc_folder, tmp_path):
    root = shutil.copytree(voc_folder, tmp_path / "mine")
    with (root / "ImageSets/Segmentation/val.txt").open("a") as file:
        file.write("val_00\nnowhere\n")
    (root / "JPEGImages/train_04.jpg").unlink()
    found = validate("folder", options(root))
    expected = {"listed twice": 1, "missing image": 2, "missing mask": 1}
    assert kinds(found) == expected
    assert [found.splits[split].num_images for split in ("train", "val")] == [11, 5]
    with pytest.raises(Problem, match="and 3 more problems, which .* validate"):
        make_builder("folder", options(root))


def test_numbers_by_hand(tmp_path):
    root = tmp_path / "mine"
    for folder in ("images/train", "masks/train", "images/val", "masks/val"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("ground\ncar\n[tree]")
    rng = np.random.default_rng(0)
    masks = {
        "train/a": [[0, 0, 1], [0, 255, 255]],
        "train/b": [[0, 1], [0, 0], [0, 0]],
        "train/c": [[1] * 9],
        "val/a": [[2, 0], [2, 255]],
    }
    for name, mask in masks.items():
        save_grey(mask, root / f"masks/{name}.png")
        image = rng.integers(0, 256, (*np.shape(mask), 3))
        save_grey(image, root / f"images/{name}.png")
    validation = validate("folder", options(root))
    assert not validation.problems
    train, val = validation.splits["train"], validation.splits["val"]
    assert (train.num_images, val.num_images) == (3, 1)
    assert train.typical_sizes[1:] == ((3, 2), (1, 9))
    assert train.statistics.pixels.tolist() == [8, 11, 0]
    assert train.statistics.images.tolist() == [2, 3, 0]
    assert (train.statistics.void, train.num_pixels) == (2, 21)
    assert train.constant == ["c"]
    for method, weights in validation.class_weights.items():
        np.testing.assert_array_equal(weights, class_weights(method, train.statistics))
    assert list(validation.remarks) == [
        "train has no pixel of [tree]",
        "val has [tree], which train lacks",
        "val has no pixel of car: only 2 of 3 classes can be scored there",
        "train: masks of one value only: 1 (c)",
    ]
    rows = [line.split() for line in printed(validation).splitlines()]
    assert ["train", "3", "2x3", "3x2", "1x9", "9.52"] in rows
    assert ["1", "car", "57.89", "3", "0.00", "0", "1.191", "2.131", "0.864"] in rows
    assert ["2", "[tree]", "0.00", "0", "66.67", "1", "0.000", "0.000", "0.000"] in rows
    assert json.loads(json.dumps(validation.to_json()))["splits"]["val"]["sizes"] == [[2, 2, 1]]


def printed(validation):
    console = Console(file=io.StringIO(), width=120)
    print_validation(validation, console)
    return console.file.getvalue()


def test_ten_problems_of_a_kind_are_shown(tmp_path):
    root = tmp_path / "mine"
    parallel_folders(root, 13, ("train", "val"))
    for path in (root / "masks/train").iterdir():
        Image.new("RGB", (40, 32), "red").save(path)
    (root / "masks/val/5.png").unlink()
    lines = printed(validate("folder", options(root))).splitlines()
    assert "colour mask: 13" in lines
    assert sum(line.startswith("  [train] ") for line in lines) == 10
    assert "  and 3 more" in lines
    assert "missing mask: 1" in lines
    assert lines[-1] == "folder: 14 problems"


def test_equal_pixels_in_two_splits_are_a_leak(root):
    Image.open(root / "images/train/2.png").save(root / "images/val/other.bmp")
    shutil.copy(root / "masks/train/2.png", root / "masks/val/other.png")
    (leak,) = validate("folder", options(root)).problems
    assert leak.kind == "image in train and val"
    assert "val 'other' and train '2' are one image" in str(leak)


def test_equal_pixels_in_one_split_are_a_remark(root):
    for kind in ("images", "masks"):
        shutil.copy(root / kind / "train/0.png", root / kind / "train/again.png")
    validation = validate("folder", options(root))
    assert validation.problems == []
    assert validation.remarks == ["copies in train: 1 (such as 'again', there '0')"]


def test_one_id_in_two_lists(voc_folder, tmp_path):
    root = shutil.copytree(voc_folder, tmp_path / "mine")
    lists = root / "ImageSets/Segmentation"
    train, val = ((lists / f"{split}.txt").read_text() for split in ("train", "val"))
    (lists / "trainval.txt").write_text(train + val)
    validation = validate("folder", options(root))
    assert validation.problems == []
    assert validation.remarks == [
        "images of trainval in train: 12 (such as 'train_00', there 'train_00')",
        "images of val in trainval: 5 (such as 'val_00', there 'val_00')",
    ]
    (lists / "val.txt").write_text(val + "train_07\n")
    (leak,) = validate("folder", options(root)).problems
    assert "val 'train_07' and train 'train_07'" in str(leak)


def test_equal_ids_are_one_image_even_where_pixels_differ(tmp_path):
    make_voc(tmp_path)
    lists = tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation"
    with (lists / "test.txt").open("a") as file:
        file.write(f"{VOC_TRAIN[0]}\n")
    assert "image in train and test" in kinds(validate("voc_segmentation", options(tmp_path)))


def test_published_data_sets(tmp_path):
    # The miniatures of VOC and SBD repeat one picture of noise; of COCO's, ids tell images apart.
    make_voc(tmp_path)
    make_sbd(tmp_path)
    make_coco(tmp_path, 2014, {"train": {1: [PERSON], 2: [PERSON]}, "val": {30: [PERSON]}})
    for name in ("voc_segmentation", "sbd", "coco_voc"):
        found = validate(name, options(tmp_path))
        assert all(kind.startswith("image in train") for kind in kinds(found))
        prepare(make_builder(name, options(tmp_path)))
        for split, summary in found.splits.items():
            source = open_split(f"{name}:{split}", options(tmp_path))
            assert summary.num_images == len(source)
            assert summary.statistics.to_json() == source.label_statistics.to_json()
    (tmp_path / "benchmark_RELEASE/dataset/cls" / f"{VOC_TRAIN[0]}.mat").write_bytes(b"MAT?")
    (tmp_path / "VOCdevkit/VOC2012/SegmentationClass" / f"{VOC_TRAIN[0]}.png").unlink()
    (tmp_path / "annotations/instances_val2014.json").write_text("{}")
    for name, kind in (
        ("voc_segmentation", "missing file"),
        ("sbd", "unreadable file"),
        ("coco_voc", "unreadable file"),
    ):
        assert kind in kinds(validate(name, options(tmp_path)))
        with pytest.raises(Problem) as refused:
            prepare(make_builder(name, options(tmp_path)))
        assert refused.value.kind == kind


def test_without_a_folder_the_prepared_copy_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Shapes, "splits", {"train": (30, 1), "val": (3, 2)})
    validation = validate("shapes", {"data_dir": str(tmp_path)})
    assert not validation.problems
    source = open_split("shapes:train", {"data_dir": str(tmp_path)})
    counted = validation.splits["train"].statistics
    assert counted.to_json() == source.label_statistics.to_json()
    with pytest.raises(UserError, match="camvid is not prepared; run"):
        validate("camvid", {"data_dir": str(tmp_path)})
    with pytest.raises(UserError, match="unknown data set 'camvit'"):
        validate("camvit", {})
