"""labelme's JSON: masks are compared with drawings by numpy, pixel by pixel."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data.validation import validate
from tests.helpers.annotated import H, W, exif, mask_of, photo, run


def labelme(path, shapes, image="0.jpg", data=None, more=None):
    content = {
        "version": "5.4.1",
        "shapes": [
            {"label": label, "points": points, "shape_type": kind} for label, kind, points in shapes
        ],
        "imagePath": image,
        "imageData": data,
        "imageHeight": H,
        "imageWidth": W,
        **(more or {}),
    }
    path.write_text(json.dumps(content))


def test_labelme_shapes_in_order(tmp_path):
    root = tmp_path / "source"
    photo(root / "0.jpg")
    photo(root / "1.jpg", 1)
    labelme(
        root / "0.json",
        [
            ("dog", "rectangle", [[12, 11], [3, 2]]),  # corners in any order, both included
            ("cat", "polygon", [[5, 5], [9, 5], [9, 8], [5, 8]]),
            ("_background_", "rectangle", [[6, 6], [7, 7]]),
            ("__ignore__", "rectangle", [[0, 20], [31, 23]]),
            ("dog", "circle", [[24, 9], [24, 12]]),
        ],
    )
    done = run(root)
    assert done.class_names == ("_background_", "cat", "dog")
    expected = np.zeros((H, W), np.uint8)
    expected[2:12, 3:13] = 2
    expected[5:9, 5:10] = 1
    expected[6:8, 6:8] = 0
    expected[20:] = 255
    got = mask_of(tmp_path / "out", "0")
    y, x = np.mgrid[:H, :W]
    inner = np.hypot(y - 9, x - 24) <= 2.9
    assert (got[inner] == 2).all()
    expected[inner] = 2
    near = (np.hypot(y - 9, x - 24) > 2.9) & (np.hypot(y - 9, x - 24) < 4)
    np.testing.assert_array_equal(got[~near], expected[~near])
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "1"), 0)
    assert done.remarks == [f"1 images have no .json, such as {root / '1.jpg'}: all background"]


def test_labelme_embedded_image_and_mask(tmp_path):
    root = tmp_path / "source"
    photo(root / "there.png")
    data = base64.b64encode((root / "there.png").read_bytes()).decode()
    content = (root / "there.png").read_bytes()
    (root / "there.png").unlink()
    inner = np.zeros((4, 5), bool)
    inner[1:3, 2:5] = True
    buffer = io.BytesIO()
    Image.fromarray(inner).save(buffer, "PNG")
    mask = base64.b64encode(buffer.getvalue()).decode()
    shape = {"label": "cat", "shape_type": "mask", "points": [[3, 7], [7, 10]], "mask": mask}
    labelme(root / "a.json", [], "gone.png", data, {"shapes": [shape]})
    run(root)
    assert (tmp_path / "out/images/a.png").read_bytes() == content
    expected = np.zeros((H, W), np.uint8)
    expected[8:10, 5:8] = 1
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "a"), expected)


def test_labelme_of_a_turned_photo_is_upright(tmp_path):
    root = tmp_path / "source"
    photo(root / "0.jpg", exif=exif(3))
    labelme(root / "0.json", [("cat", "rectangle", [[1, 2], [4, 8]])])
    run(root)
    expected = np.zeros((H, W), np.uint8)
    expected[2:9, 1:5] = 1
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "0"), expected)


def test_a_given_list_names_unknown_objects(tmp_path):
    root = tmp_path / "source"
    photo(root / "0.jpg")
    labelme(root / "0.json", [("cat", "rectangle", [[1, 2], [4, 8]])])
    (tmp_path / "names.txt").write_text("dog\n")
    (problem,) = run(root, classes=tmp_path / "names.txt").problems
    assert "0.json: shape 1 ('cat'): its class 'cat' is not in the list" in str(problem)


@pytest.mark.parametrize(
    "change",
    [
        {"shapes": 3},
        {"shapes": [[]]},
        {"shapes": [{"label": 3, "points": []}]},
        {"imageHeight": -1},
        {"imageHeight": 10**9},
        {"imagePath": {}},
        {"imagePath": "x" * 5000},
        {"shapes": [{"label": "a", "points": [[1, 2]]}]},
        {"shapes": [{"label": "a", "points": [[1, 2], [1, 1e300], [3, 4]]}]},
        {"shapes": [{"label": "a", "points": [[1, 2], ["1", 2], [3, 4]]}]},
        {"shapes": [{"label": "a", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": "!"}]},
    ],
)
def test_hostile_labelme(tmp_path, change):
    root = tmp_path / "source"
    for i in range(2):
        photo(root / f"{i}.jpg", i)
    labelme(root / "0.json", [], "0.jpg", more=change)
    labelme(root / "1.json", [("cat", "rectangle", [[1, 2], [4, 8]])], "1.jpg")
    done = run(root)
    assert len(done.problems) == 1
    assert "0.json" in str(done.problems[0])
    assert done.num_images in ({"": 1}, {"": 2})
    assert not (tmp_path / "out/masks/0.png").exists()


def test_the_result_validates(tmp_path):
    root = tmp_path / "source"
    for i in range(12):
        photo(root / f"{i}.jpg", i)
        labelme(root / f"{i}.json", [("cat", "rectangle", [[1, 2], [4, 8]])], f"{i}.jpg")
    run(root)
    assert validate("folder", {"manual_dir": str(tmp_path / "out")}).problems == []
