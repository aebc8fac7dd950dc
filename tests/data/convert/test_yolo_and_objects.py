"""YOLO's polygons, and one mask file an object: compared with drawings by numpy."""

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data.validation import validate
from gcn_jax.errors import UserError
from tests.helpers.annotated import H, W, box, exif, mask_of, photo, run


def shares(x, y, u, v, size=(H, W)):
    points = np.reshape(box(x, y, u, v), (-1, 2)) / (size[1], size[0])
    return " ".join(f"{value:.8f}" for value in points.ravel())


def yolo(root, lines, layout="{kind}/{split}/{name}"):
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text("train: images/train\nnames:\n  0: dog\n  1: cat\n")
    for i, split in enumerate(("train", "val")):
        photo(root / layout.format(kind="images", split=split, name="a.jpg"), i)
        path = root / layout.format(kind="labels", split=split, name="a.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines))


@pytest.mark.parametrize("layout", ["{kind}/{split}/{name}", "{split}/{kind}/{name}"])
def test_yolo(tmp_path, layout):
    root = tmp_path / "source"
    yolo(root, [f"1 {shares(4, 4, 8, 8)}", f"0 {shares(2, 2, 14, 20)}"], layout)
    photo(root / layout.format(kind="images", split="train", name="b.jpg"), 7)
    done = run(root)
    assert (done.format, done.class_names) == ("yolo", ("background", "dog", "cat"))
    assert (done.num_images, done.problems) == ({"train": 2, "val": 1}, [])
    expected = np.zeros((H, W), np.uint8)
    expected[2:20, 2:14] = 1
    expected[4:8, 4:8] = 2  # listed first, but smaller
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "a", "train"), expected)
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "b", "train"), 0)
    assert "1 images have no labels" in done.remarks[0]
    assert validate("folder", {"manual_dir": str(tmp_path / "out")}).problems == []


def test_yolo_coordinates_are_of_the_upright_image(tmp_path):
    root = tmp_path / "source"
    yolo(root, [f"0 {shares(2, 3, 14, 20, (W, H))}"])
    photo(root / "images/train/a.jpg", exif=exif(8))
    run(root)
    expected = np.zeros((W, H), np.uint8)
    expected[3:20, 2:14] = 1
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "a", "train"), expected)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", "line 2: a box, not a polygon"),
        ("7 0.1 0.1 0.2 0.2 0.3 0.1", "class 7 has no name"),
        ("0 0.1 0.1 0.2 0.2 0.3", "5 coordinates"),
        ("0 0.1 0.1 0.2 nan 0.3 0.3", "no number"),
        ("0 10 10 200 200 30 10", "far outside"),
        ("dog 0.1 0.1 0.2 0.2 0.3 0.1", "invalid literal"),
    ],
)
def test_a_line_that_cannot_be_drawn_is_named(tmp_path, line, message):
    root = tmp_path / "source"
    yolo(root, [f"0 {shares(2, 2, 14, 20)}", line])
    done = run(root)
    assert [message in str(problem) for problem in done.problems] == [True, True]
    assert sum(done.num_images.values()) == 0


def save(mask, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(path)


def parts():
    """Some masks and what they make together."""
    large, small, other = np.zeros((3, H, W), bool)
    large[2:20, 2:14] = small[4:8, 4:8] = other[10:22, 20:30] = True
    label = np.zeros((H, W), np.uint8)
    label[large], label[small], label[other] = 2, 1, 2
    return large, small, other, label


def test_files_of_objects(tmp_path):
    root = tmp_path / "source"
    large, small, other, label = parts()
    for name in ("im_1", "im_10"):  # one name begins with the other
        photo(root / f"images/{name}.jpg", len(name))
        save(small, root / f"masks/{name}_cat_1.png")
        save(large, root / f"masks/{name}_dog_1.png")
        save(other, root / f"masks/{name}_dog_2.png")
    save(other, root / "masks/elsewhere_dog_2.png")
    done = run(root)
    assert (done.format, done.class_names) == ("objects", ("background", "cat", "dog"))
    (problem,) = done.problems
    assert "elsewhere_dog_2.png: no image's name" in str(problem)
    assert "cat (2), dog (4)" in done.remarks[0]
    for name in ("im_1", "im_10"):
        np.testing.assert_array_equal(mask_of(tmp_path / "out", name), label)


def test_folders_of_classes(tmp_path):
    root = tmp_path / "source"
    large, small, _, _ = parts()
    for i in range(2):
        photo(root / f"images/{i}.jpg", i)
        save(large, root / f"masks/dog/{i}.png")
    save(small, root / "masks/cat/0.png")
    done = run(root)
    assert (done.format, done.class_names) == ("objects", ("background", "cat", "dog"))
    np.testing.assert_array_equal(mask_of(tmp_path / "out", 1), 2 * large)
    np.testing.assert_array_equal(mask_of(tmp_path / "out", 0), np.where(small, 1, 2 * large))
    (root / "masks/cat/0.png").rename(root / "masks/cat/1.png")
    assert run(root).num_written == 2


def test_objects_without_a_class_need_a_name(tmp_path):
    root = tmp_path / "source"
    large, _, other, _ = parts()
    photo(root / "images/a.jpg")
    save(large, root / "masks/a_0.png")
    save(other, root / "masks/a_1.png")
    with pytest.raises(UserError, match="--name"):
        run(root)
    assert run(root, name="cell").class_names == ("background", "cell")
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "a"), large | other)


def test_names_of_a_few_bytes_that_would_unpack_to_gigabytes_are_refused(tmp_path):
    root = tmp_path / "source"
    yolo(root, [f"0 {shares(2, 2, 14, 20)}"])
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join(9 * [f'*a{i - 1}'])}]" for i in range(1, 10)]
    (root / "data.yaml").write_text("\n".join([*lines, "names: *a9"]))
    with pytest.raises(UserError, match=r"data\.yaml: a name is no text"):
        run(root)
