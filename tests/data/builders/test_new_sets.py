"""Labels of the published masks of ADE20K, Oxford-IIIT Pet and CamVid's original."""

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data import open_split
from gcn_jax.data.builders.ade20k import Ade20k
from gcn_jax.data.builders.camvid_colors import labels_of_colors
from gcn_jax.errors import UserError
from tests.helpers import published_data as published

# One a class, from the published tables: number in the masks, first name, colour.
SPOTS = {
    1: ("wall", (120, 120, 120)),
    3: ("sky", (6, 230, 230)),
    7: ("road", (140, 140, 140)),
    13: ("person", (150, 5, 61)),
    21: ("car", (0, 102, 200)),
    45: ("chest_of_drawers", (6, 51, 255)),
    49: ("skyscraper", (140, 140, 140)),
    90: ("television", (0, 255, 194)),
    128: ("bicycle", (255, 245, 0)),
    150: ("flag", (92, 0, 255)),
}


def test_ade20k_has_its_zero_label_reduced(tmp_path):
    published.make_ade20k(tmp_path)
    settings = {"manual_dir": str(tmp_path), "data_dir": str(tmp_path / "data")}
    source = open_split("ade20k:val", settings)
    assert [example["id"] for example in source] == ["ADE_val_00000001"]
    label = source[0]["label"]
    np.testing.assert_array_equal(label, np.broadcast_to([255, *range(150)], (4, 151)))
    mask = tmp_path / "ADEChallengeData2016/annotations/training/ADE_train_00000002.png"
    for value in (151, 255):
        Image.new("L", (151, 4), value).save(mask)
        with pytest.raises(UserError, match="where the 150 classes are 0..149"):
            open_split("ade20k:train", settings)


def test_names_and_colours_of_ade20k(tmp_path):
    classes = Ade20k(data_dir=str(tmp_path)).classes
    assert len(classes.names) == len(set(classes.names)) == 150
    assert len(set(classes.colors)) == 149  # two are published with the same
    for number, (name, color) in SPOTS.items():
        assert (classes.names[number - 1], classes.colors[number - 1]) == (name, color)
    assert classes.palette[255].tolist() == [0, 0, 0]


def test_borders_of_pets_are_void(tmp_path):
    published.make_oxford_pet(tmp_path / "pets")
    settings = {"manual_dir": str(tmp_path / "pets"), "data_dir": str(tmp_path / "data")}
    source = open_split("oxford_pet:test", settings)
    assert source.class_names == ("background", "pet")
    np.testing.assert_array_equal(source[0]["label"], np.broadcast_to([1, 0, 255], (5, 3)))
    Image.new("L", (3, 5), 4).save(tmp_path / "pets/annotations/trimaps/Abyssinian_201.png")
    with pytest.raises(UserError, match="where the 2 classes are 0..1"):
        open_split("oxford_pet:test", settings)


@pytest.mark.parametrize("masks", ["LabeledApproved_full", "labels"])
def test_camvids_original_has_the_11_classes(tmp_path, masks):
    published.make_camvid_original(tmp_path)
    (tmp_path / "masks").rename(tmp_path / masks)
    wanted = {split: published.camvid_ids(split) for split in ("train", "val", "test")}
    assert [len(set(ids)) for ids in wanted.values()] == [367, 101, 233]
    assert len(set().union(*wanted.values())) == 701
    settings = {"manual_dir": str(tmp_path), "data_dir": str(tmp_path / "data")}
    with pytest.raises(UserError, match=r"no such file; .* \(and \d+ more problems"):
        open_split("camvid:train", settings)  # 367 of them are asked for, two are there


def test_colours_of_camvid_are_grouped_as_by_segnet(tmp_path):
    # Sky, Bridge, LaneMkgsNonDriv, SUVPickupTruck, MotorcycleScooter, Void
    published.make_camvid_original(tmp_path)
    path = tmp_path / "masks/0001TP_006690_L.png"
    mask = np.array(Image.open(path))
    label = labels_of_colors(mask, path)
    np.testing.assert_array_equal(label, np.broadcast_to([0, 1, 3, 8, 10, 255], (8, 6)))
    mask = np.tile(mask, (25, 1, 1))  # 1,200 pixels
    mask[0, 0] = (1, 2, 3)
    assert labels_of_colors(mask, path)[0, 0] == 255
    mask[1, :2] = (200, 2, 3)
    with pytest.raises(UserError, match=r"0_L.png: \(200, 2, 3\) \(2 px\), \(1, 2, 3\) \(1 px\): "):
        labels_of_colors(mask, path)
