"""TFDS's own ways to a data set, and prepared copies that are found without their folder."""

import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from gcn_jax.data import open_split
from gcn_jax.data.builders.registry import BUILDERS, make_builder
from gcn_jax.errors import UserError
from tests.helpers.published_data import PERSON, make_camvid, make_cityscapes, make_coco, make_voc


@pytest.mark.parametrize("name", [name for name in BUILDERS if not name.endswith("folder")])
def test_every_published_set_is_known_to_tfds(name, tmp_path):
    registered = {"cityscapes": "cityscapes_seg"}.get(name, name)
    cls = tfds.core.registered.imported_builder_cls(registered)
    assert cls.name == registered
    assert issubclass(cls, BUILDERS[name])
    if name != "cityscapes":  # which cannot be downloaded
        info = tfds.builder(registered, data_dir=str(tmp_path)).info
        assert len(info.description) > 60
        assert info.supervised_keys == ("image", "label")
        assert info.features["label"].num_classes == len(info.features["label"].names)
        if "shapes" not in name:
            assert info.homepage.startswith("http")
            assert "year = {" in info.citation


def test_tfds_keeps_its_own_sets():
    cityscapes = tfds.core.registered.imported_builder_cls("cityscapes")
    assert cityscapes.__module__.startswith("tensorflow_datasets")


def test_a_folder_is_prepared_and_read_by_tfds(tmp_path, caplog):
    make_voc(tmp_path)
    data_dir = str(tmp_path / "data")
    builder = tfds.builder("voc_segmentation", data_dir=data_dir, root=str(tmp_path))
    builder.download_and_prepare()
    again = tfds.data_source("voc_segmentation", split="val", data_dir=data_dir, download=False)
    assert [example["id"] for example in again] == [
        example["id"].encode()
        for example in open_split("voc_segmentation:val", {"data_dir": data_dir})
    ]
    name = builder.builder_config.name
    exact = tfds.data_source(f"voc_segmentation/{name}", split="val", data_dir=data_dir)
    assert len(exact) == len(again) == 2
    assert not caplog.records


def test_a_notebook_sees_no_warning(tmp_path):
    make_camvid(tmp_path / "CamVid")
    code = (
        "import tensorflow_datasets as tfds, gcn_jax.data.builders.registry\n"
        f"b = tfds.builder('camvid', data_dir={str(tmp_path / 'data')!r}, root={str(tmp_path)!r})\n"
        "b.download_and_prepare()\n"
        "print(len(b.as_data_source('val')))"
    )
    command = [sys.executable, "-W", "error::UserWarning:gcn_jax", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "2"
    assert "arning" not in done.stderr


def test_default_configs_have_names(tmp_path):
    for name, config in (("camvid", "published"), ("coco_voc", "2014-min0")):
        builder = tfds.builder(name, data_dir=str(tmp_path))
        assert builder.builder_config.name == config
    builder = tfds.builder("coco_voc/2017-min0", data_dir=str(tmp_path))
    assert "train2017.zip" in builder.download


def test_prepared_copies_are_found_by_their_name(tmp_path):
    make_cityscapes(tmp_path / "cityscapes")
    make_coco(tmp_path / "coco", 2014, {"train": {9: [PERSON]}, "val": {10: [PERSON]}})
    settings = {"data_dir": str(tmp_path / "data")}
    mine = {**settings, "manual_dir": str(tmp_path)}
    expected = open_split("cityscapes:val", mine).identities
    for manual_dir in (None, "none", ""):
        found = open_split("cityscapes:val", {**settings, "manual_dir": manual_dir})
        assert found.identities == expected
    open_split("coco_voc:train", {**mine, "coco_min_area": 7})
    assert len(open_split("coco_voc:train", {**settings, "coco_min_area": 7})) == 2
    with pytest.raises(UserError, match="coco_min_area=0`"):  # is not prepared
        open_split("coco_voc:train", settings)


def test_a_folder_that_is_gone_is_not_silently_replaced(tmp_path):
    make_voc(tmp_path / "mine")
    settings = {"manual_dir": str(tmp_path / "mine"), "data_dir": str(tmp_path / "data")}
    open_split("voc_segmentation:val", settings)
    (tmp_path / "mine").rename(tmp_path / "moved")
    with pytest.raises(UserError, match="mine: no such file .* set it to none to use the copy"):
        open_split("voc_segmentation:val", settings)


def test_copies_that_differ_are_not_chosen_from(tmp_path):
    for name in ("one", "two", "three"):
        make_camvid(tmp_path / name)
    settings = {"data_dir": str(tmp_path / "data")}
    open_split("camvid:val", {**settings, "manual_dir": str(tmp_path / "one")})
    open_split("camvid:val", {**settings, "manual_dir": str(tmp_path / "two")})
    assert len(open_split("camvid:val", settings)) == 2  # the same images and labels
    line = (tmp_path / "three/val.txt").read_text().splitlines()[0]
    (tmp_path / "three/val.txt").write_text(line)
    open_split("camvid:val", {**settings, "manual_dir": str(tmp_path / "three")})
    with pytest.raises(
        UserError, match="camvid is prepared 3 times, from data that differ: .*three"
    ):
        make_builder("camvid", settings)
