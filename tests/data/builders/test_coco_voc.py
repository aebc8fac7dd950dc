import json
import shutil

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from gcn_jax.data import open_split, prepare
from gcn_jax.data.builders.coco_instances import VOC_LABELS, decode
from gcn_jax.data.builders.coco_voc import CocoVoc
from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.data.builders.voc_segmentation import VOC_CLASSES
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
    with pytest.raises(UserError, match=r"instances_train2014.json: no such file"):
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


def test_a_compressed_code_that_ends_early_is_refused(monkeypatch):
    """pycocotools leaves the rest of its mask as the memory was: here 7 in one column."""
    mask = np.zeros((10, 12), np.uint8)
    mask[BODY] = 1
    mask[:, 11] = 7
    monkeypatch.setattr(coco_mask, "decode", lambda code: mask)
    with pytest.raises(ValueError, match="its runs end before the image does"):
        decode({"size": [10, 12], "counts": "g03"}, 10, 12)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [12, 10], "counts": [120]}, r"its size is \[12, 10\], its image's \[10, 12\]"),
        ({"size": [10, 12], "counts": [100]}, r"its runs are 100 pixels long"),
        ({"size": [10, 12], "counts": "g03n3"}, r"Invalid RLE"),
        ({"counts": [120]}, r"KeyError\('size'\)"),
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


def test_archives_are_downloaded(options, tmp_path):
    names = ("annotations", "train2014", "val2014")
    for name in names:
        shutil.make_archive(str(tmp_path / "web" / name), "zip", tmp_path / "coco", name)
    with serve(tmp_path / "web") as url:
        archives = tuple(Archive(f"{url}/{name}.zip", name) for name in names)
        builder = CocoVoc(data_dir=str(tmp_path / "downloaded"), archives=archives)
        assert builder.download.count(".zip") == 3
        hidden = (tmp_path / "web/val2014.zip").rename(tmp_path / "val2014.zip")
        with pytest.raises(UserError, match=r"val2014.zip: the download failed"):
            prepare(builder)
        assert not builder.is_prepared
        hidden.rename(tmp_path / "web/val2014.zip")
        (tmp_path / "web/train2014.zip").unlink()  # came before, and is not fetched again
        prepare(builder)
    options = {"data_dir": str(tmp_path / "downloaded")}
    assert list(labels("coco_voc:train", options)) == [9, 25, 33, 40, 42]
    with pytest.raises(UserError, match=r"coco_year=2017 --coco_min_area=0` .*/train2017.zip"):
        open_split("coco_voc:train", {**options, "coco_year": 2017})
