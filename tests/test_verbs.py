"""The commands as a user types them, one after the other, on a folder of small images."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix

ROOT = Path(__file__).parent.parent
SETTINGS = [
    f"--config.{setting}"
    for setting in (
        "model.name=_tiny",
        "model.kernel_size=5",
        "batch_size=4",
        "augment.crop_size=(32,48)",
        "augment.scale=(0.8,1.2)",
        "num_devices=1",
        "log_every=2",
        "eval_every=4",
        "checkpoint_every=4",
        "optimizer.warmup_steps=0",
        "eval_batch_size=4",
    )
]


def start(verb, *arguments, cwd):
    return subprocess.Popen(
        [sys.executable, str(ROOT / verb), *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(verb, *arguments, cwd, code=0):
    process = start(verb, *arguments, cwd=cwd)
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"{out}\n{err}"
    return out, err


@pytest.fixture(scope="module")
def trained(voc_folder, tmp_path_factory):
    """A folder in which `train.py` ran, and what it printed."""
    cwd = tmp_path_factory.mktemp("user")
    data = [f"--config.data.manual_dir={voc_folder}", f"--config.data.data_dir={cwd / 'data'}"]
    command = ["--config", ROOT / "configs/folder.py", *data, *SETTINGS]
    out, _ = run("train.py", *command, "--config.num_steps=8", cwd=cwd)
    return cwd, command, out


def test_train_tells_and_leaves_a_report(trained):
    cwd, _, out = trained
    assert "training runs/folder: _tiny" in out
    assert "step 8: loss" in out
    assert "step 8: val mIoU" in out
    page = (cwd / "runs/folder/report.html").read_text()
    assert "disc" in page
    assert "data:image" in page


def test_training_resumes_by_itself_and_says_so(trained):
    cwd, command, _ = trained
    shutil.copytree(cwd / "runs/folder", cwd / "runs/longer")
    out, _ = run("train.py", *command, "--config.num_steps=10", "--workdir=runs/longer", cwd=cwd)
    assert "resuming runs/longer after step 8" in out
    assert "step 10: val mIoU" in out
    assert "step 8: loss" not in out


def test_evaluate_agrees_with_an_independent_count(trained, voc_folder):
    cwd, _, _ = trained
    out, _ = run(
        "evaluate.py", "--ckpt=runs/folder", "--json=scores.json", "--report=page.html", cwd=cwd
    )
    scores = json.loads((cwd / "scores.json").read_text())
    assert f"{100 * scores['miou']:.2f}" in out
    assert (cwd / "page.html").stat().st_size > 10_000

    run("predict.py", "--ckpt=runs/folder", voc_folder / "JPEGImages", cwd=cwd)
    total = np.zeros((3, 3), int)
    for path in sorted((voc_folder / "SegmentationClass").glob("val_*.png")):
        truth = np.asarray(Image.open(path))
        prediction = np.asarray(Image.open(cwd / "predictions" / path.name))
        valid = truth != 255
        total += confusion_matrix(truth[valid], prediction[valid], labels=range(3))
    assert scores["confusion_matrix"] == total.tolist()
    union = total.sum(0) + total.sum(1) - total.diagonal()
    np.testing.assert_allclose(scores["miou"], np.mean((total.diagonal() / union)[union > 0]))
    np.testing.assert_allclose(scores["pixel_accuracy"], total.trace() / total.sum())


def test_predictions_are_indexed_and_of_the_size_of_their_images(trained, tmp_path):
    cwd, _, _ = trained
    rng = np.random.default_rng(0)
    for name, size in (("a", (33, 47)), ("b", (50, 21))):
        image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / f"{name}.jpg")
    run("predict.py", f"--ckpt={cwd / 'runs/folder'}", "a.jpg", "b.jpg", "--output=o", cwd=tmp_path)
    mask = Image.open(tmp_path / "o/a.png")
    assert (mask.mode, mask.size) == ("P", (47, 33))
    assert set(np.unique(mask)) <= {0, 1, 2}
    assert mask.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
    with Image.open(tmp_path / "o/b_overlay.png") as overlay:
        assert overlay.mode == "RGB"


def test_interrupted_training_says_how_to_go_on(trained):
    cwd, command, _ = trained
    arguments = [*command, "--config.num_steps=100000", "--workdir=runs/stopped"]
    process = start("train.py", *arguments, cwd=cwd)
    while not (cwd / "runs/stopped/checkpoints/4").is_dir():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT
    assert "stopped by SIGINT after step" in out
    assert "the same command goes on from there" in out
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("train.py", [f"--config={ROOT}/configs/none.py"], "configs/none.py: no such file"),
        ("train.py", [f"--config={ROOT}/configs/stage1.py"], "coco_voc is not prepared"),
        ("train.py", [f"--config={ROOT}/configs/folder.py", "--config.lr=1"], "'lr'"),
        ("evaluate.py", ["--ckpt=nowhere"], "nowhere is not the workdir of a training run"),
        ("evaluate.py", ["--ckpt=runs/folder", "--split=test"], "folder has no split 'test'"),
        ("predict.py", ["--ckpt=runs/folder"], "no image; give files or folders"),
        ("predict.py", ["--ckpt=runs/folder", f"{ROOT}/LICENSE"], "LICENSE: not a readable image"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(trained, verb, arguments, message):
    _, err = run(verb, *arguments, cwd=trained[0], code=2)
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert message in err
