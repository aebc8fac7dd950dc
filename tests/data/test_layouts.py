"""Layouts as people have them: which pairs are found, and what is said of the rest."""

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data.layouts import find_layout, one_in_ten
from gcn_jax.data.problems import Problem


def make(root, *names):
    """Empty files: a layout is recognised by names alone."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pairs(root, **options):
    """The pairs of each split, as names below the folder; there must be no problems."""
    layout = find_layout(root, **options)
    assert layout.problems == []
    return {
        split: [f"{key}: {image.relative_to(root)} {mask.relative_to(root)}"
                for key, image, mask in found]
        for split, found in layout.splits.items()
    }  # fmt: skip


def problem(root, **options):
    try:
        layout = find_layout(root, **options)
    except Problem as raised:
        return f"{raised.kind}: {raised}"
    return "\n".join(f"{found.kind}: {found}" for found in layout.problems)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}.jpg", "{}.png"),
        ("{}.jpg", "{}_mask.gif"),
        ("{}.png", "{}_L.png"),
        ("{}.png", "{}.png.png"),
        ("{}.jpg", "{}.jpg.npy"),
        ("{}.jpg", "mask_{}.png"),
        ("image_{}.jpg", "mask_{}.png"),
        ("{}_leftImg8bit.png", "{}_gtFine_labelTrainIds.png"),
        ("x_{}_000019_leftImg8bit.png", "x_{}_000019_gtFine_labelTrainIds.png"),
        ("a b.{}.jpg", "a b.{} (mask).bmp"),
    ],
)
def test_one_beginning_or_ending_may_be_common_to_all_masks(tmp_path, image, mask):
    for i in (1, 10, 100, 11):
        make(tmp_path, "images/train/" + image.format(i), "masks/train/" + mask.format(i))
    assert set(pairs(tmp_path)["train"]) == {
        f"{image.format(i).rpartition('.')[0]}: images/train/{image.format(i)} "
        f"masks/train/{mask.format(i)}"
        for i in (1, 10, 100, 11)
    }


def test_several_kinds_of_masks_are_never_guessed(tmp_path):
    for i in range(4):
        make(tmp_path, f"images/{i}.png", f"masks/{i}_color.png", f"masks/{i}_ids.png")
    said = problem(tmp_path)
    assert "names of masks: " in said
    assert "2 kinds of masks fit the images: for '0' '0_color', '0_ids'" in said
    assert "--config.data.mask_suffix=_ids" in said
    found = pairs(tmp_path, mask_suffix="_color")
    assert sum(map(len, found.values())) == 4
    assert "0: images/0.png masks/0_color.png" in found["train"] + found["val"]


def test_names_that_do_not_fit_are_said_once_with_the_nearest(tmp_path):
    for i in range(8):
        make(tmp_path, f"images/photo{i}.png", f"masks/label{i}.png")
    said = problem(tmp_path)
    assert said.count("\n") == 0
    assert "images are called 'photo0', 'photo1', 'photo2', ..." in said
    assert "nearest to the first are 'label0'" in said
    assert "--config.data.mask_suffix" in said


def test_missing_masks_are_said_once_a_split(tmp_path):
    for i in range(12):
        make(tmp_path, f"images/train/{i:02}.png", f"images/val/{i:02}.png")
        make(tmp_path, f"masks/val/{i:02}_mask.png")
        if i < 5:
            make(tmp_path, f"masks/train/{i:02}_mask.png")
    (found,) = find_layout(tmp_path).problems
    assert (found.kind, found.split) == ("missing mask", "train")
    assert "'05', '06', '07', '08', '09' and 2 more have no mask (nearest to '05_mask'" in str(
        found
    )


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images/{}", "masks/{}"),
        ("images/{}", "annotations/{}"),
        ("img_dir/{}", "ann_dir/{}"),
        ("{}/images", "{}/masks"),
        ("{}", "{}annot"),
        ("{}", "{}_masks"),
        ("{}_images", "{}_masks"),
        ("images_prepped_{}", "annotations_prepped_{}"),
        ("Images/{}", "Masks/{}"),
    ],
)
@pytest.mark.parametrize(
    "names", [("train", "val"), ("training", "validation"), ("Train", "valid")]
)
def test_names_of_splits(tmp_path, images, masks, names):
    for name in names:
        make(tmp_path, f"{images.format(name)}/a.jpg", f"{masks.format(name)}/a.png")
    assert {split: len(found) for split, found in pairs(tmp_path).items()} == {"train": 1, "val": 1}


def test_two_folders_for_one_split_are_a_problem(tmp_path):
    for name in ("val", "valid", "train"):
        make(tmp_path, f"images/{name}/a.png", f"masks/{name}/a.png")
    assert "are both the split 'val'; keep one" in problem(tmp_path)


def test_images_and_masks_in_one_folder(tmp_path):
    for split in ("train", "valid"):
        for i in range(3):
            make(tmp_path, f"{split}/a_jpg.rf.{i}.jpg", f"{split}/a_jpg.rf.{i}_mask.png")
    found = pairs(tmp_path)
    assert found["val"][0] == "a_jpg.rf.0: valid/a_jpg.rf.0.jpg valid/a_jpg.rf.0_mask.png"
    assert [len(of) for of in found.values()] == [3, 3]


def test_cities_are_groups_within_a_split(tmp_path):
    for city in ("aachen", "bochum"):
        for kind in ("color", "labelTrainIds"):
            make(tmp_path, f"gtFine/train/{city}/{city}_0_1_gtFine_{kind}.png")
        make(tmp_path, f"leftImg8bit/train/{city}/{city}_0_1_leftImg8bit.png")
    assert pairs(tmp_path, mask_suffix="_gtFine_labelTrainIds")["train"] == [
        f"{city}/{city}_0_1_leftImg8bit: leftImg8bit/train/{city}/{city}_0_1_leftImg8bit.png "
        f"gtFine/train/{city}/{city}_0_1_gtFine_labelTrainIds.png"
        for city in ("aachen", "bochum")
    ]


def test_groups_without_splits_are_dealt_one_in_ten(tmp_path):
    for group in ("a", "b"):
        for i in range(10):
            make(tmp_path, f"images/{group}/{i}.png", f"masks/{group}/{i}.png")
    found = pairs(tmp_path)
    assert found.keys() == {"train", "val"}
    assert sum(map(len, found.values())) == 20
    assert 1 <= len(found["val"]) <= 5


def test_one_image_in_ten_depends_on_its_name_alone():
    some = [(str(i), None, None) for i in range(50)]
    few, many = one_in_ten(some[:30]), one_in_ten(some)
    assert [pair for pair in many["val"] if pair in some[:30]] == few["val"]


VOC = "JPEGImages/{0}.jpg", "SegmentationClass/{0}.png"


def voc(root, *keys):
    for key in keys:
        make(root, *(name.format(key) for name in VOC))


def test_voc_without_lists(tmp_path):
    voc(tmp_path, "a", "b", "c")
    make(tmp_path, "SegmentationClassVisualization/a.jpg")
    assert sum(map(len, pairs(tmp_path).values())) == 3


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "{}.jpg",
        "JPEGImages/{}.jpg",
        "/home/me/JPEGImages/{}.jpg",
        "JPEGImages/{0}.jpg SegmentationClass/{0}.png",
        "/data/JPEGImages/{0}.jpg\t/data/SegmentationClass/{0}.png",
        "JPEGImages/{0}.jpg,SegmentationClass/{0}.png",
        "{0}.jpg {0}.png",
    ],
)
@pytest.mark.parametrize(
    ("place", "lists"),
    [
        ("ImageSets/Segmentation", ("train", "valid")),
        (".", ("training", "val")),
        (".", ("train_list", "val_list")),
    ],
)
def test_lines_of_lists(tmp_path, line, place, lists):
    voc(tmp_path, "a", "my photo", "c")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    train, val = (tmp_path / place / f"{name}.txt" for name in lists)
    train.write_text(f"{line.format('my photo')}\n{line.format('a')}")
    val.write_text(line.format("c"))
    found = find_layout(tmp_path)
    assert found.is_listed
    assert pairs(tmp_path) == {
        "train": [f"{key}: JPEGImages/{key}.jpg SegmentationClass/{key}.png"
                  for key in ("my photo", "a")],
        "val": ["c: JPEGImages/c.jpg SegmentationClass/c.png"],
    }  # fmt: skip


def test_two_columns_name_the_masks_folder_themselves(tmp_path):
    voc(tmp_path, "a")
    make(tmp_path, "SegmentationClassAug/a.png", "ImageSets/Segmentation/train.txt")
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text(
        "/JPEGImages/a.jpg /SegmentationClassAug/a.png"
    )
    assert pairs(tmp_path)["train"] == ["a: JPEGImages/a.jpg SegmentationClassAug/a.png"]


def test_files_that_nobody_would_miss_are_named(tmp_path):
    make(tmp_path, "images/train/a.png", "masks/train/a.png", "images/loose.png")
    make(tmp_path, "images/train/b.heic", "images/train/c.gif", "images/train/notes.txt")
    make(tmp_path, "images/train/x/y/deep.png")
    said = problem(tmp_path)
    assert "1 images, such as loose.png, lie beside the folders of the splits (train)" in said
    assert "2 files, such as b.heic, are of a kind that is not read there" in said
    assert "images/train/x/y is more than one folder below" in said


def test_two_folders_of_masks_are_never_guessed(tmp_path):
    make(tmp_path, "images/a.png", "masks/a.png", "labels/a.png")
    assert "has labels/ and masks/; keep one" in problem(tmp_path)
    (tmp_path / "labels/a.png").rename(tmp_path / "labels/a.txt")
    assert sum(map(len, pairs(tmp_path).values())) == 1


def test_labelmes_masks_that_are_there_twice_are_taken_once(tmp_path):
    for key in "ab":
        make(tmp_path, f"JPEGImages/{key}.jpg", f"SegmentationClass/{key}.npy")
        make(tmp_path, f"SegmentationClassPNG/{key}.png")
        make(tmp_path, f"SegmentationClassVisualization/{key}.jpg")
    found = pairs(tmp_path)
    assert sorted(found["train"] + found["val"]) == [
        f"{key}: JPEGImages/{key}.jpg SegmentationClassPNG/{key}.png" for key in "ab"
    ]


def test_images_and_masks_in_one_folder_may_both_have_endings(tmp_path):
    for i in range(3):
        make(tmp_path, f"train/{i}_sat.jpg", f"train/{i}_mask.png")
    assert "lie in one folder, set --config.data.mask_suffix" in problem(tmp_path)
    found = pairs(tmp_path, mask_suffix="_mask")
    assert found["train"][0] == "0_sat: train/0_sat.jpg train/0_mask.png"


def test_a_folder_of_no_known_layout_is_told_what_it_has(tmp_path):
    make(tmp_path, "Photos/a.png", "mask_png/a.png")
    assert "has neither ImageSets/Segmentation/*.txt (VOC's layout) nor the" in problem(tmp_path)
    assert "it has Photos/, mask_png/" in problem(tmp_path) or "mask_png/, " in problem(tmp_path)


def test_a_test_split_without_masks_is_left_out(tmp_path):
    for split in ("train", "val"):
        make(tmp_path, f"images/{split}/a.png", f"masks/{split}/a.png")
    make(tmp_path, "images/test/a.png")
    assert list(pairs(tmp_path)) == ["train", "val"]


def test_masks_are_read_from_every_suffix(tmp_path):
    label = np.array([[0, 1], [2, 1]], np.uint8)
    for suffix in (".png", ".gif", ".tif", ".bmp"):
        make(tmp_path, f"images/a{suffix[1:]}.png")
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(label).save(tmp_path / f"masks/a{suffix[1:]}{suffix}")
    assert sum(map(len, pairs(tmp_path).values())) == 4
