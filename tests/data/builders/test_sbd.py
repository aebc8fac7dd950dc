import hashlib
import shutil

import numpy as np
import pytest
import scipy.io

from gcn_jax.data import open_split, prepare
from gcn_jax.data.builders import sbd
from gcn_jax.data.builders.download import Archive
from gcn_jax.data.builders.voc_segmentation import voc_ids
from gcn_jax.errors import UserError
from tests.helpers.published_data import (
    SBD_ONLY,
    VOC_TRAIN,
    VOC_VAL,
    box_label,
    make_sbd,
    save_mat,
    serve,
)


@pytest.mark.parametrize("below", ["", "benchmark_RELEASE", "benchmark_RELEASE/dataset"])
def test_splits_and_labels(tmp_path, below):
    make_sbd(tmp_path)
    options = {"manual_dir": str(tmp_path / below), "data_dir": str(tmp_path / "data")}
    train = open_split("sbd:train", options)
    assert [example["id"] for example in train] == [VOC_TRAIN[0], *SBD_ONLY[:2]]
    assert len(train.class_names) == 21
    for i, example in enumerate(train):
        np.testing.assert_array_equal(example["label"], box_label(i + 1, border=0))
        assert (example["label"] == i + 1).sum() == 96
    ids = {
        split: [example["id"] for example in open_split(f"sbd:{split}", options)]
        for split in ("val", "train_noval")
    }
    assert ids == {"val": [VOC_VAL[0], SBD_ONLY[2]], "train_noval": list(SBD_ONLY)}


def test_train_noval_and_voc_train_are_the_10582_images_of_trainaug():
    # SBD's own lists add nothing to these but images of VOC train and val.
    train, val, trainaug = (voc_ids(split) for split in ("train", "val", "trainaug"))
    only_sbd = sbd.without_voc([*trainaug, *val])
    assert len(only_sbd) == 9118
    assert {*only_sbd, *train} == set(trainaug)
    assert len({*train, *val, *only_sbd}) == 12031


def test_archive_is_downloaded(tmp_path):
    make_sbd(tmp_path / "made")
    (tmp_path / "web").mkdir()
    shutil.make_archive(str(tmp_path / "web/sbd"), "gztar", tmp_path / "made")
    checksum = hashlib.md5((tmp_path / "web/sbd.tar.gz").read_bytes()).hexdigest()
    with serve(tmp_path / "web") as url:
        archive = Archive(f"{url}/sbd.tar.gz", f"md5:{checksum}")
        prepare(sbd.Sbd(data_dir=str(tmp_path / "data"), archives=[archive]))
    assert len(open_split("sbd:train_noval", {"data_dir": str(tmp_path / "data")})) == 3


def test_damaged_mat_files_are_named(tmp_path):
    path = tmp_path / "one.mat"
    save_mat(box_label(20), path)
    assert sbd.read_mat(path).max() == 255
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"one.mat: no readable GTcls.Segmentation"):
        sbd.read_mat(path)
    scipy.io.savemat(path, {"GTinst": {"Segmentation": box_label(1)}})
    with pytest.raises(
        UserError, match=r"no readable GTcls.Segmentation \(it has no variable GTcls\)"
    ):
        sbd.read_mat(path)
    scipy.io.savemat(path, {"GTcls": {"Segmentation": np.ones((2, 3))}})
    with pytest.raises(UserError, match=r"GTcls.Segmentation is float64 \(2, 3\)"):
        sbd.read_mat(path)
    scipy.io.savemat(path, {"GTcls": {"Segmentation": {"a": 1}}})
    with pytest.raises(UserError, match=r"GTcls.Segmentation is struct \(1, 1\), not uint8"):
        sbd.read_mat(path)
