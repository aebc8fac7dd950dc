import numpy as np
import pytest

from gcn_jax.data import Augment, Mixture, open_training_source, training_batches
from gcn_jax.errors import UserError
from tests.helpers.published_data import (
    PERSON,
    SBD_ONLY,
    VOC_TRAIN,
    box_label,
    make_cityscapes,
    make_coco,
    make_sbd,
    make_voc,
)
from tests.helpers.small_data import CLASS_NAMES


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
    assert mixture.name == "sbd:train_noval + voc_segmentation:train*2"
    for weight in ("0", "0.0", "", "-1", "nan", "1e3", "1/2"):
        spec = f"sbd:train_noval*{weight}"
        with pytest.raises(UserError, match="is a number above 0, such as 3 or 0.5"):
            open_training_source((spec,), options)
    with pytest.raises(UserError, match="weight 0.1 leaves none of its 3 images"):
        open_training_source(("voc_segmentation:train*0.1",), options)


class Numbered:
    """Images of one pixel whose red channel is `first`, `first + 1`, ..."""

    class_names, palette = CLASS_NAMES, None

    def __init__(self, first, count):
        self.name, self._values = f"from {first}", range(first, first + count)

    def __len__(self):
        return len(self._values)

    def __getitem__(self, index):
        image = np.full((1, 1, 3), self._values[index], np.uint8)
        return {"image": image, "label": np.zeros((1, 1), np.uint8), "id": str(index)}


WEIGHTED = Mixture([Numbered(0, 5), Numbered(100, 8), Numbered(200, 4)], [1, 0.5, 1.25])


def stream(**kwargs):
    """Batches of 2; a pass over `WEIGHTED` has 5 + 4 + 5 images, hence 7 batches."""
    augment = Augment((1, 1), flip=False)
    return training_batches(WEIGHTED, augment, batch_size=2, seed=3, num_threads=2, **kwargs)


def values(batches, count):
    return [next(batches)["image"][:, 0, 0, 0].tolist() for _ in range(count)]


def test_pass_has_a_part_of_a_source_and_the_next_pass_the_rest():
    assert len(WEIGHTED) == 14
    assert WEIGHTED.name == "from 0 + from 100*0.5 + from 200*1.25"
    passes = np.reshape(values(stream(), 4 * 7), (4, 14))
    for one in passes:
        assert sorted(one[one < 100]) == [0, 1, 2, 3, 4]
        halves = one[(one >= 100) & (one < 200)]
        assert len(set(halves)) == len(halves) == 4
        seen, times = np.unique(one[one >= 200], return_counts=True)
        assert seen.tolist() == [200, 201, 202, 203]
        assert sorted(times) == [1, 1, 1, 2]
    for start in (0, 2):
        both = passes[start : start + 2].ravel()
        assert sorted(both[(both >= 100) & (both < 200)]) == list(range(100, 108))
    seen, times = np.unique(passes[passes >= 200], return_counts=True)
    assert times.tolist() == [5, 5, 5, 5]
    first_half = sorted(v for v in passes[0] if 100 <= v < 200)
    assert first_half not in ([100, 101, 102, 103], [104, 105, 106, 107])  # a sample


def test_weighted_stream_is_resumed_in_the_middle_of_a_later_pass():
    batches = stream()
    values(batches, 17)
    position, expected = batches.get_state(), values(batches, 9)
    resumed = stream()
    resumed.set_state(position)
    assert values(resumed, 9) == expected


def test_processes_share_the_weighted_stream_of_one():
    whole = values(stream(), 21)
    halves = [values(stream(process_index=i, process_count=2), 21) for i in range(2)]
    assert [[a, b] for (a,), (b,) in zip(*halves, strict=True)] == whole


@pytest.mark.parametrize(
    ("train", "val", "count"),
    [
        (("sbd:train_noval", "sbd:val"), "voc_segmentation:val", 1),
        (("voc_segmentation:trainval",), "voc_segmentation:val", 2),
        (("coco_voc:train",), "coco_voc:val2014", 1),
        (("sbd:train_noval",), "sbd:val", 1),
        (("coco_voc:train*0.5", "voc_segmentation:trainval"), "voc_segmentation:val", 2),
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
