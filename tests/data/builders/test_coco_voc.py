import json
import shutil

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from gcn_jax.data import open_split, prepare
from gcn_jax.data.builders.coco_instances import VOC_LABELS, read_instances
from gcn_jax.data.builders.coco_masks import LONGEST_OUTLINE, decode
from gcn_jax.data.builders.coco_voc import CocoVoc
from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.published_classes import VOC_CLASSES
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.errors import UserError
from tests.helpers.published_data import make_coco, serve

PERSON, DOG, TRAFFIC_LIGHT = 1, 18, 10


def rectangle(left, top, right, bottom):
    return [left, top, right, top, right, bottom, left, bottom]


def instance(category, segmentation, area=50.0, iscrowd=0):
    return {
        "category_id": category,
        "segmentation": segmentation,
        "area": area,
        "iscrowd": iscrowd,
        "bbox": [0, 0, 1, 1],
    }


def crowd(category, counts):
    return instance(category, {"size": [10, 12], "counts": counts}, iscrowd=1)


# Rows 3 to 5 of column 2; run lengths go down the columns, and start with background.
RUNS = {"size": [10, 12], "counts": [23, 3, 94]}
BODY = (slice(3, 6), 2)

IMAGES = {
    "train": {
        40: [
            instance(DOG, [rectangle(0, 0, 6, 6)]),
            instance(PERSON, [rectangle(4, 4, 8, 8)]),
            instance(PERSON, [rectangle(7, 7, 10, 10)]),
        ],
        9: [
            instance(PERSON, [rectangle(2, 1, 8, 6), rectangle(9, 8, 12, 10), [1, 1, 2, 2]]),
            instance(TRAFFIC_LIGHT, [rectangle(0, 0, 12, 10)]),
        ],
        25: [instance(DOG, RUNS), crowd(PERSON, [25, 45, 50]), crowd(TRAFFIC_LIGHT, [0, 120])],
        30: [instance(TRAFFIC_LIGHT, [rectangle(0, 0, 4, 4)])],
        31: [],
        32: [crowd(PERSON, [0, 120])],
        33: [instance(DOG, [rectangle(0, 0, 2, 2)], area=4.0), crowd(DOG, [60, 60])],
    },
    "val": {42: [instance(5, [rectangle(0, 0, 12, 5)]), instance(72, [rectangle(0, 5, 12, 10)])]},
}


@pytest.fixture
def options(tmp_path):
    make_coco(tmp_path / "coco", 2014, IMAGES)
    return {"manual_dir": str(tmp_path), "data_dir": str(tmp_path / "data")}


def labels(spec, options):
    return {int(example["id"]): example["label"] for example in open_split(spec, options)}


def test_classes_are_those_of_the_same_meaning():
    # COCO's names of its categories, by COCO's numbers
    names = {
        5: "airplane", 2: "bicycle", 16: "bird", 9: "boat", 44: "bottle", 6: "bus", 3: "car",
        17: "cat", 62: "chair", 21: "cow", 67: "dining table", 18: "dog", 19: "horse",
        4: "motorcycle", 1: "person", 64: "potted plant", 20: "sheep", 63: "couch", 7: "train",
        72: "tv",
    }  # fmt: skip
    other = {"airplane": "aeroplane", "motorcycle": "motorbike", "couch": "sofa", "tv": "tvmonitor"}
    assert {number: VOC_CLASSES.names[label] for number, label in VOC_LABELS.items()} == {
        number: other.get(name, name.replace(" ", "")) for number, name in names.items()
    }


def test_labels_by_hand(options):
    found = labels("coco_voc:train2014", options)
    assert list(found) == [9, 25, 33, 40]  # without 30 to 32, which show none of the classes
    expected = {number: np.zeros((10, 12), np.uint8) for number in found}
    expected[9][1:6, 2:8] = expected[9][8:10, 9:12] = 15  # the part of two points covers nothing
    expected[25][BODY] = 12
    expected[25].T.flat[25:70] = 255  # also over the last row of the dog
    expected[33][0:2, 0:2] = 12
    expected[33].T.flat[60:] = 255
    expected[40][0:6, 0:6] = 12
    expected[40][4:8, 4:8] = 15
    expected[40][4:6, 4:6] = 255  # dog or person
    expected[40][7:10, 7:10] = 15  # over the other person
    for number, label in expected.items():
        np.testing.assert_array_equal(found[number], label, err_msg=str(number))


def test_train_is_both_halves_of_a_year(options):
    assert list(labels("coco_voc:train", options)) == [9, 25, 33, 40, 42]
    found = labels("coco_voc:val2014", options)
    assert (found[42][:5] == 1).all()
    assert (found[42][5:] == 20).all()
    with pytest.raises(UserError, match="no split 'val'; it has train2014, val2014, train"):
        open_split("coco_voc:val", options)


def test_small_areas_may_be_left_out(options):
    assert list(labels("coco_voc:train2014", {**options, "coco_min_area": 5})) == [9, 25, 40]
    assert list(labels("coco_voc:train2014", {**options, "coco_min_area": 4})) == [9, 25, 33, 40]
    with pytest.raises(UserError, match="coco_min_area is -1"):
        make_builder("coco_voc", {**options, "coco_min_area": -1})


def test_images_of_2017_have_the_same_ids(options, tmp_path):
    shutil.rmtree(tmp_path / "coco")
    swapped = {"train": {42: IMAGES["val"][42]}, "val": {9: IMAGES["train"][9]}}
    make_coco(tmp_path / "coco", 2017, swapped)
    source = open_split("coco_voc:train", {**options, "coco_year": 2017})
    assert source.identities == {("coco", "000000000009"), ("coco", "000000000042")}
    with pytest.raises(
        UserError,
        match=r"no annotations/instances_train2014.json, .*; found train2017, which is of 2017; ",
    ):
        make_builder("coco_voc", options)
    with pytest.raises(UserError, match="unknown year of COCO '2015'"):
        make_builder("coco_voc", {**options, "coco_year": 2015})


def test_every_form_of_a_segmentation():
    mask = np.zeros((10, 12), bool)
    mask[BODY] = True
    compressed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = compressed["counts"].decode()
    # 23, 3, 94 in groups of five bits, least first, each + 48, with 32 where another one follows:
    # 23 = 10111b -> 55 + 32, 0 + 48; 3 -> 51; 94 = 10b 11110b -> 78 + 32, 2 + 48
    assert text == "g03n2"
    for form in (RUNS, compressed, {"size": [10, 12], "counts": text}, [rectangle(2, 3, 3, 6)]):
        np.testing.assert_array_equal(decode(form, 10, 12), mask)
    assert not decode([], 10, 12).any()


def test_compressed_codes_equal_those_of_pycocotools():
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = rng.random((rng.integers(1, 40), rng.integers(1, 40))) < rng.random()
        mask = np.kron(mask, np.ones(rng.integers(1, 9, 2))) > 0
        code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        np.testing.assert_array_equal(decode(code, *mask.shape), mask)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [12, 10], "counts": [120]}, r"its size is \[12, 10\], its image's \[10, 12\]"),
        ({"size": [10, 12], "counts": [100]}, r"its runs are 100 pixels long"),
        ({"size": [10, 12], "counts": "g03n3"}, r"its runs are 152 pixels long"),
        ({"size": [10, 12], "counts": "g03"}, r"its runs are 26 pixels long"),
        ({"size": [10, 12], "counts": "g03n"}, r"its compressed runs end within one"),
        ({"size": [10, 12], "counts": "g03\u20ac"}, r"its compressed runs are damaged"),
        ({"size": [10, 12], "counts": [130, -10]}, r"not whole numbers from 0 on"),
        ({"size": [10, 12], "counts": [True, 119]}, r"not whole numbers from 0 on"),
        ({"counts": [120]}, r"neither polygons nor a run-length code"),
        ([[1, 1, 20, 1, -1e9, 20, 1, 20]], r"coordinate -1e\+09, far outside of an image of 12x10"),
        ([[1, 1, 20, 1, 1, 31]], r"coordinate 31, far outside"),
        ([[1, 1, 5, "x", 1, 3]], r"a coordinate that is no number"),
        ([[1, 1, 5, None, 1, 3]], r"a coordinate that is no number"),
        ([[1, 1, 5, 5, 1, 3, 7]], r"no list of x, y"),
        ([7], r"no list of x, y"),
        ([[0, 0, 24, 20] * (LONGEST_OUTLINE // 48 + 1)], r"outlines are \d+ pixels long"),
    ],
)
def test_problems_of_segmentations_are_named(tmp_path, segmentation, message):
    images = {"train": {7: [instance(DOG, segmentation)]}, "val": {}}
    make_coco(tmp_path, 2014, images)
    options = {"manual_dir": str(tmp_path), "data_dir": str(tmp_path / "data")}
    with pytest.raises(UserError, match=rf"image 000000000007: annotation 0 .*{message}"):
        open_split("coco_voc:train", options)


@pytest.mark.parametrize("content", ["{", "{}", "[]", json.dumps({"annotations": [{}]})])
def test_problems_of_annotations_are_named(options, tmp_path, content):
    (tmp_path / "coco/annotations/instances_val2014.json").write_text(content)
    with pytest.raises(UserError, match=r"instances_val2014.json: not a file of COCO's instances"):
        open_split("coco_voc:train", options)


@pytest.mark.parametrize(
    ("where", "key", "value", "message"),
    [
        ("images", "height", 10_000_000, "image 9: height is 10000000; it is 1 to 65535 pixels"),
        ("images", "height", -1, "image 9: height is -1; it is 1 to 65535"),
        ("images", "width", 12.0, "image 9: width is 12.0; it is 1 to 65535"),
        ("images", "width", "12", "image 9: width is '12'"),
        ("images", "id", [9], r"image \[9\]: id is \[9\]; it is a whole number from 0 on"),
        ("images", "id", 25, "image 25 is there more than once"),
        ("images", "file_name", 5, "image 9: file_name is 5; it is a name"),
        ("images", "file_name", "a\0b", "image 9: file_name is .* it is a name"),
        ("annotations", "area", "x", "annotation 3: area is 'x'; it is a number of pixels"),
        ("annotations", "area", float("nan"), "annotation 3: area is nan"),
        ("annotations", "iscrowd", "no", "annotation 3: iscrowd is 'no'; it is 0 or 1"),
        (
            "annotations",
            "image_id",
            {},
            "annotation 3: image_id is {}; it is the number of an",
        ),
        (
            "annotations",
            "segmentation",
            5,
            "annotation 3: segmentation is 5; it is polygons or",
        ),
    ],
)
def test_fields_are_checked_before_they_are_used(tmp_path, where, key, value, message):
    make_coco(tmp_path, 2014, IMAGES)
    path = tmp_path / "annotations/instances_train2014.json"
    content = json.loads(path.read_text())
    number = {"images": "id", "annotations": "image_id"}[where]
    one = next(one for one in content[where] if one[number] == 9)
    one[key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        read_instances(path)


def test_images_and_objects_that_would_fill_the_memory_are_refused(tmp_path):
    make_coco(tmp_path, 2014, {"train": {9: [instance(DOG, [])] * 10}, "val": {}})
    path = tmp_path / "annotations/instances_train2014.json"
    content = json.loads(path.read_text())
    content["images"][0] |= {"height": 8192, "width": 8192}
    path.write_text(json.dumps(content))
    (instances,) = read_instances(path)
    with pytest.raises(UserError, match="image 000000000009: 10 objects of 67108864 pixels each"):
        instances.rasterise()
    content["images"][0]["width"] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="image 9: it has 8192 x 8193 pixels; 67108864 are"):
        read_instances(path)


@pytest.mark.parametrize("content", ["[" * 100_000, "9" * 5_000, "{" * 3, "[1]", "null"])
def test_json_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match=r"a.json: not a file of COCO's instances"):
        read_instances(tmp_path / "a.json")


def test_archives_are_downloaded(options, tmp_path):
    names = ("annotations", "train2014", "val2014")
    for name in names:
        shutil.make_archive(str(tmp_path / "web" / name), "zip", tmp_path / "coco", name)
    with serve(tmp_path / "web") as url:
        archives = tuple(Archive(f"{url}/{name}.zip") for name in names)
        builder = CocoVoc(data_dir=str(tmp_path / "downloaded"), archives=archives)
        assert builder.download.count(".zip") == 3
        hidden = (tmp_path / "web/val2014.zip").rename(tmp_path / "val2014.zip")
        with pytest.raises(UserError, match=r"val2014.zip: the download failed"):
            prepare(builder)
        assert not builder.is_prepared()
        hidden.rename(tmp_path / "web/val2014.zip")
        (tmp_path / "web/train2014.zip").unlink()  # came before, and is not fetched again
        prepare(builder)
    options = {"data_dir": str(tmp_path / "downloaded")}
    assert list(labels("coco_voc:train", options)) == [9, 25, 33, 40, 42]
    with pytest.raises(UserError, match=r"coco_year=2017 --coco_min_area=0` .*/train2017.zip"):
        open_split("coco_voc:train", {**options, "coco_year": 2017})
