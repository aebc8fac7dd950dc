"""COCO's JSON: masks are compared with drawings by numpy, pixel by pixel."""

import json

import numpy as np
import pytest
from PIL import Image

from gcn_jax.errors import UserError
from tests.helpers.annotated import H, W, box, exif, mask_of, photo, run


def runs_of(mask):
    """COCO's uncompressed runs, down the columns, by the format's description."""
    runs, value, length = [], 0, 0
    for pixel in mask.T.ravel():
        if pixel != value:
            runs.append(length)
            value, length = pixel, 0
        length += 1
    return {"size": list(mask.shape), "counts": [*runs, length]}


def coco(path, annotations, names=("cat", "dog"), images=2, **more):
    content = {
        "images": [
            {"id": 7 + i, "file_name": f"{i}.jpg", "height": H, "width": W} for i in range(images)
        ],
        "annotations": [
            {"id": i, "iscrowd": 0, "image_id": 7, **one} for i, one in enumerate(annotations)
        ],
        "categories": [{"id": 3 * i + 1, "name": name} for i, name in enumerate(names)],
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    for i in range(2):
        photo(root / f"images/{i}.jpg", i)
    return root


def test_coco_polygons_runs_and_crowds(source):
    crowd = np.zeros((H, W), int)
    crowd[:, 20:] = 1
    large, small = box(2, 2, 14, 20), box(4, 4, 8, 8)
    coco(
        source / "annotations/instances.json",
        [
            {"category_id": 4, "segmentation": [small]},  # listed first, drawn on top
            {"category_id": 1, "segmentation": [large, box(22, 0, 24, 2)]},
            {"category_id": 1, "segmentation": runs_of(crowd), "iscrowd": 1},
        ],
    )
    done = run(source)
    assert (done.format, done.class_names) == ("coco", ("background", "cat", "dog"))
    assert (done.num_images, done.num_written, done.problems) == ({"": 2}, 2, [])
    expected = np.zeros((H, W), np.uint8)
    expected[crowd == 1] = 255
    expected[2:20, 2:14] = 1
    expected[0:2, 22:24] = 1
    expected[4:8, 4:8] = 2
    out = source.parent / "out"
    np.testing.assert_array_equal(mask_of(out, "0"), expected)
    np.testing.assert_array_equal(mask_of(out, "1"), 0)
    assert "1 images have no annotation" in done.remarks[0]
    assert (out / "images/0.jpg").read_bytes() == (source / "images/0.jpg").read_bytes()
    assert (out / "classes.txt").read_text() == "background\ncat\ndog\n"


def test_again_changes_nothing_and_goes_on(source):
    coco(source / "a.json", [{"category_id": 4, "segmentation": [box(1, 1, 9, 9)]}])
    run(source)
    out = source.parent / "out"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert run(source).num_written == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    (out / "masks/1.png").unlink()
    assert run(source).num_written == 1
    coco(source / "a.json", [{"category_id": 1, "segmentation": [box(1, 1, 9, 9)]}])
    assert run(source).num_written == 2
    assert mask_of(out, "0")[5, 5] == 1


def test_one_unreadable_object_leaves_its_image_out_and_is_named(source):
    good = {"category_id": 4, "segmentation": [box(1, 1, 9, 9)]}
    coco(source / "a.json", [good])
    run(source)
    for bad, message in (
        ({"category_id": 9, "segmentation": [box(1, 1, 9, 9)]}, "category_id '9'"),
        ({"category_id": 1, "segmentation": [[1, 1, 1e9, 2, 3, 3]]}, "far outside"),
        ({"category_id": 1, "segmentation": [[1, 1, float("nan"), 2, 3, 3]]}, "no number"),
        ({"category_id": 1, "segmentation": []}, "covers no pixel"),
        ({"category_id": 1, "segmentation": {"size": [H, W], "counts": [5]}}, "runs are 5"),
        ({"category_id": 1}, "'segmentation' is missing"),
    ):
        coco(source / "a.json", [good, bad])
        done = run(source)
        assert len(done.problems) == 1
        assert message in str(done.problems[0])
        assert "annotation 1" in str(done.problems[0])
        assert done.num_images == {"": 1}
        assert not (source.parent / "out/masks/0.png").exists()  # it was of the file before


def test_panoptic_maps(source):
    root = source / "annotations"
    numbers = np.zeros((H, W), int)
    numbers[:8], numbers[8:16] = 70_000, 300
    colors = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], -1)
    (root / "panoptic_val").mkdir(parents=True)
    Image.fromarray(colors.astype(np.uint8)).save(root / "panoptic_val/0.png")
    segments = [{"id": 70_000, "category_id": 4}, {"id": 300, "category_id": 1, "iscrowd": 0}]
    one = {"image_id": 7, "file_name": "0.png", "segments_info": segments}
    coco(root / "panoptic_val.json", [one], images=1)
    done = run(source)
    assert done.num_images == {"val": 1}
    expected = np.full((H, W), 255)
    expected[:8], expected[8:16] = 2, 1
    np.testing.assert_array_equal(mask_of(source.parent / "out", "0", "val"), expected)
    one["segments_info"].pop()
    coco(root / "panoptic_val.json", [one], images=1)
    assert "not listed, such as 300" in str(run(source).problems[0])


def test_roboflow_splits_and_its_group(tmp_path):
    root = tmp_path / "source"
    for split in ("train", "valid", "test"):
        photo(root / split / "0.jpg")
        categories = [
            {"id": 0, "name": "pets", "supercategory": "none"},
            {"id": 1, "name": "cat", "supercategory": "pets"},
        ]
        one = {"category_id": 1, "segmentation": [box(1, 1, 9, 9)]}
        path = root / split / "_annotations.coco.json"
        coco(path, [one], images=1, categories=categories)
    done = run(root)
    assert done.class_names == ("background", "cat")
    assert done.num_images == {"test": 1, "train": 1, "val": 1}


@pytest.mark.parametrize("upright", [True, False])
def test_coco_of_a_turned_photo(tmp_path, upright):
    """A photo stored H x W that is shown turned by 90 degrees clockwise, as orientation 6 says."""
    root = tmp_path / "source"
    photo(root / "0.jpg", exif=exif(6))
    size = (W, H) if upright else (H, W)
    image = {"id": 7, "file_name": "0.jpg", "height": size[0], "width": size[1]}
    one = {"category_id": 1, "segmentation": [box(1, 2, 5, 9)]}
    coco_images(root, image, one)
    run(root)
    drawn = np.zeros(size, np.uint8)
    drawn[2:9, 1:5] = 1
    expected = drawn if upright else np.rot90(drawn, -1)
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "0"), expected)


def coco_images(root, image, one):
    content = {
        "images": [image],
        "annotations": [{"id": 1, "image_id": 7, **one}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (root / "a.json").write_text(json.dumps(content))


def test_a_photo_turned_by_180_degrees_is_refused(tmp_path):
    root = tmp_path / "source"
    photo(root / "0.jpg", exif=exif(3))
    image = {"id": 7, "file_name": "0.jpg", "height": H, "width": W}
    coco_images(root, image, {"category_id": 1, "segmentation": [box(1, 2, 5, 9)]})
    assert "EXIF orientation 3" in str(run(root).problems[0])


def test_the_published_folder_of_coco(tmp_path):
    root = tmp_path / "source"
    one = {"category_id": 1, "segmentation": [box(1, 1, 9, 9)]}
    for split in ("train2017", "val2017"):
        photo(root / f"{split}/0.jpg", len(split))
        for kind in ("instances", "person_keypoints", "captions"):
            coco(root / f"annotations/{kind}_{split}.json", [one], images=1)
    done = run(root)
    assert (done.num_images, done.problems) == ({"train": 1, "val": 1}, [])
    assert sum("has no outlines of classes" in remark for remark in done.remarks) == 4
    coco(root / "annotations/stuff_val2017.json", [one], images=1)
    with pytest.raises(UserError, match="instances_val2017.json and .* both annotate 0.jpg"):
        run(root)
