import shutil

import pytest

from gcn_jax.data import open_split
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.errors import UserError
from tests.helpers.published_data import make_cityscapes

#: Published number -> train id of the 19 classes (Cityscapes' own table).
TRAIN_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12,
    26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip


@pytest.fixture
def options(tmp_path):
    make_cityscapes(tmp_path / "cityscapes")
    return {"manual_dir": str(tmp_path), "data_dir": str(tmp_path / "data")}


@pytest.mark.parametrize(
    ("split", "ids"),
    [
        ("train", ["aachen_000000_000019", "bochum_000000_000313"]),
        ("val", ["frankfurt_000000_000294"]),
        ("train_coarse", ["augsburg_000000_000000"]),
    ],
)
def test_labels_are_train_ids(options, split, ids):
    source = open_split(f"cityscapes:{split}", options)
    assert [example["id"] for example in source] == ids
    label = source[0]["label"]
    assert label.shape == (16, 34)
    for number in range(34):  # one a column
        assert (label[:, number] == TRAIN_IDS.get(number, 255)).all()


def test_class_table(options):
    source = open_split("cityscapes:train", options)
    assert len(source.class_names) == 19
    assert source.class_names[:3] == ("road", "sidewalk", "building")
    assert source.palette[13].tolist() == [0, 0, 142]  # car
    assert source.palette[18].tolist() == [119, 11, 32]  # bicycle
    assert source.palette[255].tolist() == [0, 0, 0]


def test_test_split_has_no_labels(options):
    source = open_split("cityscapes:test", options)
    assert source[0].keys() == {"image", "id"}
    assert source[0]["id"] == "berlin_000000_000019"


def test_missing_parts(options, tmp_path):
    for split in ("train_extra", "test"):
        shutil.rmtree(tmp_path / "cityscapes/leftImg8bit" / split)
    with pytest.raises(UserError, match="no split 'test'; it has train, val$"):
        open_split("cityscapes:test", options)
    shutil.rmtree(tmp_path / "cityscapes/gtFine/val")
    with pytest.raises(UserError, match=r"frankfurt_000000_000294_gtFine_labelIds.png: no such"):
        make_builder("cityscapes", options)
    for split in ("train", "val"):
        shutil.rmtree(tmp_path / "cityscapes/leftImg8bit" / split)
    with pytest.raises(UserError, match=r"leftImg8bit holds no train/, val/ or test/"):
        make_builder("cityscapes", options)
    with pytest.raises(UserError, match="cannot be downloaded without a login"):
        make_builder("cityscapes", {})
