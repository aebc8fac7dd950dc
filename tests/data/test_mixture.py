import numpy as np
import pytest
from published_data import (
    PERSON,
    SBD_ONLY,
    VOC_TRAIN,
    box_label,
    make_cityscapes,
    make_coco,
    make_sbd,
    make_voc,
)
from small_data import CLASS_NAMES

from gcn_jax.data import Augment, open_training_source, training_batches
from gcn_jax.errors import UserError


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """All data sets in one folder."""
    root = tmp_path_factory.mktemp("all")
    make_voc(root)
    make_sbd(root)
    make_cityscapes(root / "cityscapes")
    make_coco(root / "coco", 2014, {"train": {9: [PERSON]}, "val": {42: [PERSON]}})
    return {"manual_dir": str(root), "data_dir": str(root / "data"), "val": "voc_segmentation:val"}


STAGE_1 = ("coco_voc:train", "sbd:train_noval", "voc_segmentation:train")


def test_mixture_is_its_sources_one_after_another(options):
    mixture = open_training_source(STAGE_1, options)
    assert mixture.name == "coco_voc:train + sbd:train_noval + voc_segmentation:train"
    ids = [mixture[i]["id"] for i in range(len(mixture))]
    assert ids == ["000000000009", "000000000042", *SBD_ONLY, *VOC_TRAIN]
    assert len(mixture.class_names) == 21
    np.testing.assert_array_equal(mixture[5]["label"], box_label(1))
    assert len(mixture.identities) == 8
    for index in (-1, 8):
        with pytest.raises(IndexError, match=f"8 examples; there is no number {index}"):
            mixture[index]
    batches = training_batches(mixture, Augment((32, 32)), batch_size=8, seed=0, num_threads=0)
    assert next(batches)["label"].shape == (8, 32, 32)


def test_weight_is_how_often_images_come(options):
    specs = ("sbd:train_noval", "voc_segmentation:train*2")
    mixture = open_training_source(specs, options)
    assert [example["id"] for example in mixture] == [*SBD_ONLY, *VOC_TRAIN, *VOC_TRAIN]
    for weight in ("0", "1.5", "", "-1"):
        spec = f"sbd:train_noval*{weight}"
        with pytest.raises(UserError, match="is a whole number, 1 or more"):
            open_training_source((spec,), options)


@pytest.mark.parametrize(
    ("train", "val", "count"),
    [
        (("sbd:train_noval", "sbd:val"), "voc_segmentation:val", 1),
        (("voc_segmentation:trainval",), "voc_segmentation:val", 2),
        (("coco_voc:train",), "coco_voc:val2014", 1),
        (("sbd:train_noval",), "sbd:val", 1),
        (("cityscapes:train",), "cityscapes:train", 2),
    ],
)
def test_images_of_the_validation_split_are_refused(options, train, val, count):
    with pytest.raises(UserError, match=rf"{train[-1]} holds {count} of the \d images of {val}"):
        open_training_source(train, {**options, "val": val})


def test_folder_whose_lists_overlap_is_refused(voc_folder, tmp_path):
    options = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path), "val": "folder:val"}
    assert open_training_source(("folder:train",), options).class_names == CLASS_NAMES
    options["val"] = "folder:train"
    with pytest.raises(UserError, match=r"\(train_00, train_01, train_02, ...\), which training"):
        open_training_source(("folder:train",), options)


def test_different_classes_are_refused(options):
    with pytest.raises(UserError, match="cityscapes:train have different classes"):
        open_training_source(("voc_segmentation:train", "cityscapes:train"), options)
