"""Masks in colour, of 0 and 255, and of class numbers."""

import re

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data.validation import validate
from gcn_jax.errors import UserError
from tests.helpers.annotated import H, W, exif, mask_of, photo, run

COLORS = np.uint8([[0, 0, 0], [128, 0, 0], [0, 128, 0], [224, 224, 192]])


def scene(i):
    """Labels 0..3, each in every mask."""
    labels = np.zeros((H, W), np.uint8)
    labels[2 : 8 + i, 3:20] = 1
    labels[12:20, 5 + i : 25] = 2
    labels[22:] = 3
    return labels


def save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    for i in range(3):
        photo(tmp_path / f"source/images/{i}.jpg", i)
        save(COLORS[scene(i)], tmp_path / f"source/masks/{i}_L.png")
    return tmp_path / "source"


def expected(i, void=255):
    return np.uint8([0, 1, 2, void])[scene(i)]


LISTS = {
    "class_dict.csv": "name,r,g,b\nground,0,0,0\ncar,128,0,0\ntree,0,128,0\nVoid,224,224,192\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\nground:0,0,0::\ncar:128,0,0::\n"
    "tree:0,128,0::\nvoid:224,224,192::\n",
}


LISTS["label_colors.txt"] = "0 0 0\t\tground\n128 0 0\tcar\n0 128 0\ttree\n224 224 192\tVoid\n"


@pytest.mark.parametrize("name", LISTS)
def test_colours_of_a_list(root, name):
    (root / name).write_text(LISTS[name])
    done = run(root)
    assert (done.format, done.class_names) == ("colours", ("ground", "car", "tree"))
    assert (done.num_images, done.problems) == ({"": 3}, [])
    for i in range(3):
        np.testing.assert_array_equal(mask_of(root.parent / "out", i), expected(i))
    assert validate("folder", {"manual_dir": str(root.parent / "out")}).problems == []


def test_colours_are_learnt(root):
    out = root.parent / "out"
    with pytest.raises(UserError, match=r"the 4 colours of 3 masks mean: 0,0,0 \(\d+ px\), "):
        run(root)
    title, *lines = (out / "colours.csv").read_text().splitlines()
    assert title == "class,r,g,b,pixels,masks"
    found = {tuple(map(int, line.split(",")[1:4])): line.split(",")[4:] for line in lines}
    pixels = np.bincount(np.stack([scene(i) for i in range(3)]).ravel())
    assert found == {
        tuple(color): [str(n), "3"] for color, n in zip(COLORS.tolist(), pixels, strict=True)
    }
    with pytest.raises(UserError, match="the colour 0,0,0 has no name yet"):
        run(root)
    names = {(0, 0, 0): "a", (128, 0, 0): "b", (0, 128, 0): "b", (224, 224, 192): "void"}
    named = [names[tuple(map(int, line.split(",")[1:4]))] + line for line in lines]
    (out / "colours.csv").write_text("\n".join([title, *named]))
    assert run(root).class_names == ("a", "b")
    np.testing.assert_array_equal(mask_of(out, 1), np.uint8([0, 1, 1, 255])[scene(1)])


def test_unknown_colours_are_counted_and_not_guessed(root):
    (root / "class_dict.csv").write_text(LISTS["class_dict.csv"])
    for i in (0, 2):
        colors = COLORS[scene(i)].copy()
        colors[0, : 3 + i] = 1, 2, 3
        save(colors, root / f"masks/{i}_L.png")
    done = run(root)
    assert [str(problem) for problem in done.problems] == [
        f"{root}/masks/{i}_L.png: 1,2,3 ({3 + i} px) not in {root}/class_dict.csv" for i in (0, 2)
    ]
    assert "unknown colours in all masks: 1,2,3 (8 px)" in done.remarks
    assert done.num_images == {"": 1}
    assert [path.name for path in (root.parent / "out/images").iterdir()] == ["1.jpg"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("car,0,0,0", "the colour 0,0,0 is 'ground' and 'car'"),
        ("car,0,0,300", "'car,0,0,300' is not `class,r,g,b`"),
        (",128,0,0", "the colour 128,0,0 has no name"),
    ],
)
def test_a_wrong_line_of_a_list_is_named(root, line, message):
    (root / "class_dict.csv").write_text(f"name,r,g,b\nground,0,0,0\n{line}\n")
    with pytest.raises(UserError, match=message):
        run(root)


def test_a_list_that_unites_others_is_left_out(root):
    (root / "class_dict.csv").write_text(LISTS["class_dict.csv"])
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for split, ids in {"train": "0\n1", "val": "2", "trainval": "0\n1\n2"}.items():
        (lists / f"{split}.txt").write_text(ids)
    for path in (root / "masks").iterdir():
        path.rename(path.with_name(path.name.replace("_L", "")))
    done = run(root)
    assert done.num_images == {"train": 2, "val": 1}
    assert "the list 'trainval' is left out: all of it is in other lists" in done.remarks


def test_jpeg_masks_are_refused(root):
    (root / "class_dict.csv").write_text(LISTS["class_dict.csv"])
    (root / "masks/0_L.png").unlink()
    Image.fromarray(COLORS[scene(0)]).save(root / "masks/0_L.png", "JPEG")
    (problem,) = run(root).problems
    assert problem.kind == "lossy mask"


def test_palettes_that_differ_go_by_colour(root):
    (root / "classes.txt").write_text("ground\ncar\ntree\nshadow")
    for i in range(3):
        order = np.random.default_rng(i).permutation(4)
        picture = Image.fromarray(np.argsort(order)[scene(i)].astype(np.uint8)).convert("P")
        picture.putpalette(COLORS[order].ravel().tolist())
        picture.save(root / f"masks/{i}_L.png")
    with pytest.raises(UserError, match="different palettes.* --format colours"):
        run(root)
    (root / "class_dict.csv").write_text(LISTS["class_dict.csv"])
    run(root)
    for i in range(3):
        np.testing.assert_array_equal(mask_of(root.parent / "out", i), expected(i))


def test_cvat_segmentation_mask(tmp_path):
    root = tmp_path / "source"
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/default.txt").write_text("0\n1\n")
    (root / "labelmap.txt").write_text(LISTS["labelmap.txt"])
    for i in range(2):
        photo(root / f"JPEGImages/{i}.jpg", i)
        save(COLORS[scene(i)], root / f"SegmentationClass/{i}.png")
        save(COLORS[scene(i)], root / f"SegmentationObject/{i}.png")
    done = run(root)
    assert (done.format, sum(done.num_images.values())) == ("colours", 2)
    (split,) = done.num_images
    np.testing.assert_array_equal(mask_of(tmp_path / "out", 0, split), expected(0))


def test_grey_class_numbers_beside_a_list_of_colours(root):
    """CVAT's masks have one channel or three."""
    (root / "labelmap.txt").write_text(LISTS["labelmap.txt"])
    for i in range(3):
        save(scene(i), root / f"masks/{i}_L.png")
    done = run(root)
    assert (done.format, done.class_names) == ("indexed", ("ground", "car", "tree"))
    np.testing.assert_array_equal(mask_of(root.parent / "out", 1), expected(1))


def test_black_and_white_of_a_list(root):
    binary(root)
    (root / "class_dict.csv").write_text("name,r,g,b\nroad,255,255,255\nother,0,0,0\n")
    assert run(root).class_names == ("road", "other")
    np.testing.assert_array_equal(mask_of(root.parent / "out", 1), scene(1) != 1)


def binary(root):
    for i in range(3):
        save(255 * (scene(i) == 1), root / f"masks/{i}_L.png")


def test_binary_masks(root):
    binary(root)
    with pytest.raises(UserError, match="say what 255 is, such as --name road"):
        run(root)
    done = run(root, name="car")
    assert (done.format, done.class_names) == ("binary", ("background", "car"))
    np.testing.assert_array_equal(mask_of(root.parent / "out", 2), scene(2) == 1)
    with pytest.raises(UserError, match=re.escape("classes.txt has other classes")):
        run(root, name="truck")


def test_smoothed_binary_masks_are_refused(root):
    binary(root)
    mask = 255 * (scene(1) == 1)
    mask[0, 0] = 100
    save(mask, root / "masks/1_L.png")
    (problem,) = run(root, name="car", form="binary").problems
    assert "1_L.png: 1 px are neither 0 nor 255, such as 100" in str(problem)


def test_roboflow_masks(tmp_path):
    root = tmp_path / "source"
    for split in ("train", "valid"):
        for i in range(2):
            photo(root / split / f"{i}.jpg", i + 10 * (split == "valid"))
            save(scene(i), root / split / f"{i}_mask.png")
        text = "Pixel Value, Class\n0, background\n1, a\n2, b\n3, c\n"
        (root / split / "_classes.csv").write_text(text)
    done = run(root)
    assert (done.format, done.class_names) == ("indexed", ("background", "a", "b", "c"))
    assert done.num_images == {"train": 2, "val": 2}
    np.testing.assert_array_equal(mask_of(tmp_path / "out", 1, "val"), scene(1))
    assert validate("folder", {"manual_dir": str(tmp_path / "out")}).problems == []


def test_masks_of_a_turned_photo(root):
    binary(root)
    photo(root / "images/0.jpg", size=(W, H), exif=exif(6))  # upright it is H x W
    photo(root / "images/1.jpg", 1, exif=exif(6))  # upright it is W x H, and its mask is not
    assert run(root, name="car").problems == []
    np.testing.assert_array_equal(mask_of(root.parent / "out", 0), scene(0) == 1)
    np.testing.assert_array_equal(mask_of(root.parent / "out", 1), np.rot90(scene(1) == 1, -1))


def test_source_is_only_read(root):
    binary(root)
    with pytest.raises(UserError, match="which is only read"):
        run(root.parent / "source", name="x", destination=root / "converted")
