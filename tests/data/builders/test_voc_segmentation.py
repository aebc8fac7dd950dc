import hashlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data import open_split, open_training_source, prepare
from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.data.builders.voc_segmentation import VocSegmentation, voc_ids
from gcn_jax.data.classes import voc_palette
from gcn_jax.errors import UserError
from tests.helpers.published_data import VOC_TEST, VOC_TRAIN, VOC_VAL, box_label, make_voc, serve


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """The folder that holds VOCdevkit."""
    root = tmp_path_factory.mktemp("voc")
    make_voc(root)
    return root


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_splits_and_labels(parent, tmp_path, below):
    options = {"manual_dir": str(parent / below), "data_dir": str(tmp_path)}
    train, val = (open_split(f"voc_segmentation:{s}", options) for s in ("train", "val"))
    assert [example["id"] for example in train] == list(VOC_TRAIN)
    assert (len(train.class_names), train.class_names[15]) == (21, "person")
    coloured = [*range(21), 255]
    np.testing.assert_array_equal(train.palette[coloured], voc_palette()[coloured])
    for i, example in enumerate(train):
        np.testing.assert_array_equal(example["label"], box_label(i + 1))
        file = Image.open(parent / f"VOCdevkit/VOC2012/JPEGImages/{example['id']}.jpg")
        np.testing.assert_array_equal(example["image"], np.asarray(file))
    values, counts = np.unique(val[1]["label"], return_counts=True)
    # a box of 8x12, in a frame of 10x14, in an image of 24x32
    assert dict(zip(values, counts, strict=True)) == {0: 628, 2: 96, 255: 44}


def test_trainval_is_both(parent, tmp_path):
    options = {"manual_dir": str(parent), "data_dir": str(tmp_path)}
    both = open_split("voc_segmentation:trainval", options)
    assert [example["id"] for example in both] == [*VOC_TRAIN, *VOC_VAL]
    assert both.identities == {("voc", key) for key in VOC_TRAIN + VOC_VAL}
    with pytest.raises(UserError, match="no split 'tset'; it has train, val, test, trainval"):
        open_split("voc_segmentation:tset", options)


def test_test_split_has_no_labels(parent, tmp_path):
    options = {"manual_dir": str(parent), "data_dir": str(tmp_path)}
    source = open_split("voc_segmentation:test", options)
    assert not source.is_labelled
    assert source[0].keys() == {"image", "id"}
    assert (source[0]["id"], source[0]["image"].shape) == (VOC_TEST[0], (24, 32, 3))
    for train, val in (("test", "val"), ("train", "test")):
        with pytest.raises(UserError, match="voc_segmentation:test: its images have no labels"):
            open_training_source(
                (f"voc_segmentation:{train}",), {**options, "val": f"voc_segmentation:{val}"}
            )


def test_folder_without_a_development_kit_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"voc_segmentation: .* names VOCdevkit/VOC2012"):
        make_builder("voc_segmentation", {"manual_dir": str(tmp_path)})
    make_voc(tmp_path)
    image = tmp_path / f"VOCdevkit/VOC2012/JPEGImages/{VOC_VAL[0]}.jpg"
    image.unlink()
    with pytest.raises(UserError, match=rf"{image}: no such file"):
        make_builder("voc_segmentation", {"manual_dir": str(tmp_path)})


def test_archive_is_downloaded_checked_and_unpacked(parent, tmp_path):
    web = tmp_path / "web"
    web.mkdir()
    with tarfile.open(web / "voc.tar", "w") as archive:
        archive.add(parent / "VOCdevkit", "VOCdevkit")
    content = (web / "voc.tar").read_bytes()
    (web / "half.tar").write_bytes(content[: len(content) // 2])
    with tarfile.open(web / "evil.tar", "w") as archive:
        member = tarfile.TarInfo("../../evil.txt")
        archive.addfile(member, io.BytesIO())
    right = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with serve(web) as url:
        builder = VocSegmentation(
            data_dir=str(tmp_path / "data"), archives=[Archive(f"{url}/voc.tar", right)]
        )
        prepare(builder)
        for name, checksum, message in (
            ("half.tar", right, "the download failed .*hash"),
            ("half.tar", None, "not a whole tar archive"),
            ("evil.tar", None, "not a whole tar archive .*outside"),
        ):
            faulty = VocSegmentation(
                data_dir=str(tmp_path / "none"), archives=[Archive(f"{url}/{name}", checksum)]
            )
            with pytest.raises(UserError, match=message):
                prepare(faulty)
            assert not faulty.is_prepared()
            assert not list((tmp_path / "none/downloads").glob("*.tar*"))
    assert not list(tmp_path.rglob("evil.txt"))
    source = open_split("voc_segmentation:val", {"data_dir": str(tmp_path / "data")})
    np.testing.assert_array_equal(source[0]["label"], box_label(1))


def test_published_archive_is_the_one_of_2012():
    with pytest.raises(UserError, match=r"it downloads .*VOCtrainval_11-May-2012.tar"):
        open_split("voc_segmentation:train", {"data_dir": "/nonexistent"})


def test_id_lists_are_the_published_ones():
    train, val, trainaug = (voc_ids(split) for split in ("train", "val", "trainaug"))
    assert (len(set(train)), len(set(val)), len(set(trainaug))) == (1464, 1449, 10582)
    assert (len(train), len(val), len(trainaug)) == (1464, 1449, 10582)
    assert set(train) < set(trainaug)
    assert set(train).isdisjoint(val)
    assert set(trainaug).isdisjoint(val)


def test_palettes_are_compared_over_both_splits(tmp_path):
    make_voc(tmp_path)
    path = tmp_path / f"VOCdevkit/VOC2012/SegmentationClass/{VOC_VAL[0]}.png"
    mask = Image.open(path)
    red, green, blue, *others = mask.getpalette()
    mask.putpalette([red ^ 1, green, blue, *others])
    mask.save(path)
    options = {"manual_dir": str(tmp_path), "data_dir": str(tmp_path / "data")}
    with pytest.raises(UserError, match="the palettes of masks differ") as raised:
        open_split("voc_segmentation:train", options)
    assert str(path) in str(raised.value)
    assert not list((tmp_path / "data").rglob("dataset_info.json"))
