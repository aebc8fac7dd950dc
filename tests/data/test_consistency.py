"""What differs between the files of a set is found, by validation as by preparation."""

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data import prepare
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.data.problems import Problem
from gcn_jax.data.validation import validate
from tests.helpers.case_folders import (
    COLORS,
    NAMES,
    deep,
    make_folder,
    plain,
    scene,
    shuffled_palette,
    turned,
)


def look(root, **settings):
    """Problems and remarks as texts; preparation refuses exactly where there is a problem."""
    settings |= {"manual_dir": str(root), "data_dir": str(root.parent / "data")}
    found = validate("folder", settings)
    problems = [f"{problem.kind}: {problem}" for problem in found.problems]
    if problems:
        with pytest.raises(Problem) as refused:
            prepare(make_builder("folder", settings))
        assert str(refused.value).startswith(str(found.problems[0]))
    else:
        prepare(make_builder("folder", settings))
    return problems, list(found.remarks)


def in_palette(colors):
    def write(mask, path, number):
        image = Image.fromarray(mask, "P")
        image.putpalette(np.asarray(colors(number), np.uint8).ravel().tolist())
        image.save(path)

    return write


def test_palettes_in_another_order_are_refused(tmp_path):
    (problem,), _ = look(make_folder(tmp_path / "a", shuffled_palette))
    assert problem.startswith("palettes that differ: folder: the palettes of masks differ (")
    assert " is 2 in " in problem
    assert "save all masks with one palette" in problem


def test_an_index_of_two_colours_is_refused(tmp_path):
    (problem,), _ = look(
        make_folder(tmp_path / "a", in_palette(lambda i: COLORS + (i == 5) * np.uint8([0, 0, 9])))
    )
    assert "differ (1 of 8)" in problem
    assert "is the colour (0, 128, 9) in " in problem
    assert "img5.png and (0, 128, 0) in " in problem


def test_one_palette_or_none_is_no_problem(tmp_path):
    def some_grey(mask, path, number):
        (plain if number % 2 else in_palette(lambda _: COLORS))(mask, path, number)

    assert look(make_folder(tmp_path / "a", some_grey)) == ([], [])
    # Black is the ground and what fills up the palette: that says nothing.
    filled = np.concatenate([COLORS, np.zeros((253, 3), np.uint8)])
    assert look(make_folder(tmp_path / "b", in_palette(lambda _: filled))) == ([], [])


def test_colours_of_the_class_list_are_compared_with_the_palette(tmp_path):
    root = make_folder(tmp_path / "a", in_palette(lambda _: COLORS))
    (root / "classes.txt").unlink()
    rows = [f"{n},{r},{g},{b}" for n, (r, g, b) in zip(NAMES, COLORS, strict=True)]
    (root / "classes.csv").write_text("\n".join(["class,r,g,b", *rows]))
    assert look(root) == ([], [])
    (root / "classes.csv").write_text("\n".join(["class,r,g,b", rows[0], rows[2], rows[1]]))
    (problem,), _ = look(root)
    assert "the colour (0, 128, 0) is 2 in " in problem
    assert "and 1 in the list of classes" in problem


@pytest.mark.parametrize("white", [1023, 4095, 8191])
def test_camera_depth_in_16_bits_is_never_silently_dark(tmp_path, white):
    (problem,), _ = look(make_folder(tmp_path / "a", image=deep(white), image_suffix=".tif"))
    assert problem.startswith("dark 16-bit images: folder: images with 16 bits in train, val hold")
    brightest = max(scene(i)[0].mean(-1).max() for i in range(8))
    upper_bits = int(brightest / 255 * white) // 256
    assert f"no value above {256 * upper_bits + 255} of 65535" in problem
    assert f"at most {256 // (upper_bits + 1)}" in problem


def test_14_bits_are_a_remark_but_beside_8_bits_a_problem(tmp_path):
    root = make_folder(tmp_path / "a", image=deep(38_000), image_suffix=".tif")
    problems, remarks = look(root)
    assert problems == []
    assert [remark.split(" (")[0] for remark in remarks] == [
        f"{split}: images with 16 bits use only 27 % of their range" for split in ("train", "val")
    ]
    path = root / "images/val/img7.tif"
    Image.fromarray(scene(7)[0]).save(path)
    (problem,), remarks = look(root)
    assert "nearly black beside those with 8 bits" in problem
    assert any("val: 1 images have 16 bits, 1 have 8" in remark for remark in remarks)


@pytest.mark.parametrize(("white", "bits"), [(1023, 10), (4095, 12), (8191, 13)])
def test_a_camera_depth_is_right_once_it_is_named(tmp_path, white, bits):
    root = make_folder(tmp_path / "a", image=deep(white), image_suffix=".tif")
    brightest = max(int(scene(i)[0].mean(-1).max() / 255 * white) for i in range(8))
    (problem,), _ = look(root)
    assert (
        "set --config.data.bit_depth to the bits that they use, at least "
        f"{brightest.bit_length()}, such as 12 of a camera"
    ) in problem
    assert look(root, bit_depth=bits)[0] == []


def test_values_above_the_bit_depth_are_said_once_for_the_whole_set(tmp_path):
    root = make_folder(tmp_path / "a", image=deep(4095), image_suffix=".tif")
    Image.fromarray(np.full((48, 64), 9000, np.uint16)).save(root / "images/train/img1.tif")
    whites = [scene(i)[0].mean(-1).max() / 255 * 4095 for i in range(8)]
    above = sum(int(white) > 2047 for i, white in enumerate(whites) if i != 1) + 1
    (problem,), _ = look(root, bit_depth=11)
    assert problem.startswith(
        f"bit depth: folder: {above} of 8 images with 16 bits hold values above 2047, the white "
        "of 11 bits (the largest is 9000 in "
    )
    assert "img1.tif); set --config.data.bit_depth=14, if that is right for all" in problem


def test_a_bit_depth_without_images_of_16_bits_is_a_remark(tmp_path):
    assert look(make_folder(tmp_path / "a"), bit_depth=12) == (
        [],
        ["data.bit_depth is 12, but no image has 16 bits"],
    )


def test_full_range_is_no_problem(tmp_path):
    assert look(make_folder(tmp_path / "a", image=deep(120_000), image_suffix=".tif")) == ([], [])


def test_orientation_is_named_where_sizes_differ_and_remarked_where_they_cannot(tmp_path):
    problems, _ = look(make_folder(tmp_path / "a", image=turned(6), image_suffix=".jpg"))
    assert len(problems) == 8
    assert "turned upright by its EXIF orientation 6, and the mask is not" in problems[0]
    problems, remarks = look(make_folder(tmp_path / "b", image=turned(3), image_suffix=".jpg"))
    assert problems == []
    assert remarks[0].startswith("train: images turned by their EXIF orientation, to which sizes")

    def upright(mask, path, number):
        plain(np.rot90(mask, -1), path, number)

    root = make_folder(tmp_path / "c", upright, turned(6), image_suffix=".jpg")
    assert look(root) == ([], [])


def test_numbering_of_ade20k_is_recognised_by_all_masks(tmp_path):
    root = make_folder(tmp_path / "a", names=("wall", "sky"))
    (problem,), _ = look(root)
    assert "img0.png: label 2 (150 px) where the 2 classes are 0..1" in problem
    assert "(and in 7 more of 8 masks)" in problem
    assert "where 0 means unlabelled, as in ADE20K, set --config.data.reduce_zero_label=True" in (
        problem
    )
    assert "where 2 means unlabelled, set --config.data.void_labels='(2,)'" in problem
    assert look(root, reduce_zero_label=True) == ([], [])
    assert look(root, void_labels=(2,))[0] == []


def test_classes_counted_from_one(tmp_path):
    root = make_folder(tmp_path / "a", lambda m, p, i: plain(m + np.uint8(1), p, i))
    (problem,), _ = look(root)
    assert "0 never occurs, so the classes seem to be counted from 1, set " in problem


def test_a_cause_that_does_not_fit_all_masks_is_not_named(tmp_path):
    def odd(mask, path, number):
        plain(np.where(mask == 2, 3 + number, mask).astype(np.uint8), path, number)

    problems, _ = look(make_folder(tmp_path / "a", odd))
    assert len(problems) == 8
    assert "unlabelled" not in " ".join(problems)


def test_shades_of_grey_are_recognised(tmp_path):
    (problem,), _ = look(make_folder(tmp_path / "a", lambda m, p, i: plain(m * 127, p, i)))
    assert "the masks hold only 0, 127, 254, which look like 3 shades of grey" in problem


def test_black_and_white_masks_are_recognised(tmp_path):
    root = make_folder(
        tmp_path / "a", lambda m, p, i: plain((m > 0) * np.uint8(255), p, i), names=NAMES[:2]
    )
    (train, val), _ = look(root)
    assert "folder:train: all masks together hold only the values [0, 255], where 255 is" in train
    assert "these are black-and-white masks; save the foreground as 1" in train
    assert val.startswith("black-and-white masks: folder:val: ")


def test_white_foreground_among_other_masks_is_noticed(tmp_path):
    def white_from(first):
        return lambda m, p, i: plain((m > 0) * np.uint8(255 if i >= first else 1), p, i)

    (problem,), _ = look(make_folder(tmp_path / "a", white_from(6), names=NAMES[:2]))
    assert problem.startswith("black-and-white masks: folder:val: all masks hold only 0 and 255")
    problems, remarks = look(make_folder(tmp_path / "b", white_from(7), names=NAMES[:2]))
    assert problems == []
    assert remarks[0].startswith("val: masks that hold only 0 and 255, which is void: 1 (such as ")


def test_val_without_a_label_is_refused_and_without_a_class_remarked(tmp_path):
    def val_of(value):
        return lambda m, p, i: plain(m if i < 6 else np.full_like(m, value), p, i)

    (problem,), _ = look(make_folder(tmp_path / "a", val_of(255)))
    assert problem.startswith("masks that teach nothing: folder:val: all masks together hold only")
    assert "without a labelled pixel there is nothing to score" in problem
    problems, remarks = look(make_folder(tmp_path / "b", val_of(0)))
    assert problems == []
    assert remarks[0] == "val has no pixel of box, disc: only 1 of 3 classes can be scored there"


def test_what_was_understood_is_printed_when_it_is_prepared(tmp_path, capsys):
    look(make_folder(tmp_path / "a", names=("__ignore__", *NAMES)))
    assert "remark: " in (out := capsys.readouterr().out)
    assert "the line __ignore__ is left out" in out


def test_splits_that_the_config_will_not_find_are_a_remark(tmp_path):
    root = make_folder(tmp_path / "a")
    for kind in ("images", "masks"):
        (root / kind / "val").rename(root / kind / "test")
    problems, remarks = look(root)
    assert problems == []
    assert remarks == [
        "there is no split val, which configs/folder.py names, but test, train: say so with "
        "--config.data.train and --config.data.val"
    ]


def test_problems_of_classes_and_files_are_said_at_once(tmp_path):
    root = make_folder(tmp_path / "a", names=("box",), stem="x{}y")
    (root / "masks/train/x0y.png").rename(root / "masks/train/img0.png")
    problems, _ = look(root)
    assert [problem.partition(":")[0] for problem in problems] == ["class names", "names of masks"]
