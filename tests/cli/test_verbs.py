"""The commands as a user types them, one after the other, on a folder of small images."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix

from gcn_jax.cli.main import main
from gcn_jax.data.builders.published_classes import VOC_CLASSES
from gcn_jax.models.pretrained.info import ModelInfo
from gcn_jax.training import default_config
from gcn_jax.workdir import Workdir
from tests.helpers.published_data import VOC_TEST, VOC_VAL, box_label, make_voc
from tests.helpers.runs import write_untrained
from tests.helpers.verbs import ROOT, run, start

SETTINGS = [
    f"--config.{setting}"
    for setting in (
        "model.name=_tiny",
        "model.kernel_size=5",
        "backbone_weights=None",
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
    assert f"cd {cwd} &amp;&amp; gcn-jax train --config {ROOT}/configs/folder.py" in page


def test_training_resumes_by_itself_and_says_so(trained):
    cwd, command, _ = trained
    shutil.copytree(cwd / "runs/folder", cwd / "runs/longer")
    out, _ = run("train.py", *command, "--config.num_steps=10", "--workdir=runs/longer", cwd=cwd)
    assert "resuming runs/longer after step 8" in out
    assert "step 10: val mIoU" in out
    assert "step 8: loss" not in out
    sessions = Workdir(cwd / "runs/longer").read_sessions()
    assert [session.first_step for session in sessions] == [0, 8]
    assert sessions[1].command[-1] == "--workdir=runs/longer"
    assert sessions[1].folder == str(cwd)


def count_predictions(voc_folder, folder):
    """Count the pixels of the validation images that `predict.py` wrote class maps of."""
    total = np.zeros((3, 3), int)
    for path in sorted((voc_folder / "SegmentationClass").glob("val_*.png")):
        truth = np.asarray(Image.open(path))
        prediction = np.asarray(Image.open(folder / path.name))
        valid = truth != 255
        total += confusion_matrix(truth[valid], prediction[valid], labels=range(3))
    return total


def files_of(run):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in run.rglob("*")}


def test_evaluate_agrees_with_an_independent_count(trained, voc_folder):
    """And writes nothing into the run, which may lie where nothing can be written."""
    cwd, _, _ = trained
    before = files_of(cwd / "runs/folder")
    out, _ = run(
        "evaluate.py",
        "--ckpt=runs/folder",
        "--json=scores.json",
        "--report=page.html",
        "--boundary",
        cwd=cwd,
    )
    scores = json.loads((cwd / "scores.json").read_text())
    assert f"{100 * scores['miou']:.2f}" in out
    assert (cwd / "page.html").stat().st_size > 10_000
    assert "boundary accuracy (7 px)" in out
    assert list(scores["boundary"]["trimap_miou"]) == [str(width) for width in range(1, 41)]
    assert len(scores["images"]) == 5
    assert scores["session"]["command"][:3] == ["gcn-jax", "evaluate", "--ckpt=runs/folder"]

    run("predict.py", "--ckpt=runs/folder", voc_folder / "JPEGImages", cwd=cwd)
    total = count_predictions(voc_folder, cwd / "predictions")
    assert scores["confusion_matrix"] == total.tolist()

    run("-m", "gcn_jax", "report", "--ckpt=runs/folder", "--output=training.html", cwd=cwd)
    assert "learning rate" in (cwd / "training.html").read_text().lower()
    assert files_of(cwd / "runs/folder") == before

    union = total.sum(0) + total.sum(1) - total.diagonal()
    np.testing.assert_allclose(scores["miou"], np.mean((total.diagonal() / union)[union > 0]))
    np.testing.assert_allclose(scores["pixel_accuracy"], total.trace() / total.sum())


@pytest.mark.slow
def test_crf_parameters_that_the_search_prints_are_taken(trained):
    cwd, _, _ = trained
    values = ["--bilateral_weight=2,4", "--bilateral_sxy=20", "--bilateral_srgb=10"]
    command = ["gcn_jax", "crf-search", "--ckpt=runs/folder", "--num_images=2", *values]
    searched, _ = run("-m", *command, cwd=cwd)
    for name in ("no CRF", "without a CRF: mIoU"):
        assert name in searched
    found = re.search(r"best: (--crf=\S+)", searched)
    flag = found[1] if found else "--crf=3,3,20,10,4,10"  # none may be best
    out, _ = run("evaluate.py", "--ckpt=runs/folder", flag, "--json=crf.json", cwd=cwd)
    settings = json.loads((cwd / "crf.json").read_text())["settings"]
    assert settings["crf"]["bilateral_sxy"] == 20
    assert settings["crf"]["iterations"] == 10


@pytest.mark.slow
def test_evaluate_and_predict_take_the_same_inference(trained, voc_folder):
    cwd, _, _ = trained
    flags = ["--scales=0.5,1.5", "--flip", "--window=32,48", "--overlap=0.25"]
    out, _ = run(
        "evaluate.py", "--ckpt=runs/folder", "--json=modes.json", "--batch_size=3", *flags, cwd=cwd
    )
    scores = json.loads((cwd / "modes.json").read_text())
    step = scores["settings"].pop("step")
    assert step in (4, 8)
    assert scores["settings"] == {
        "checkpoint": "runs/folder",
        "split": "folder:val",
        "batch_size": 8,  # the devices are eight
        "scales": [0.5, 1.5],
        "flip": True,
        "crf": None,
        "window": [32, 48],
        "overlap": 0.25,
    }
    assert f"5 images of folder:val, {scores['images_per_second']} images/s" in out
    assert f"compiled shapes: 1; runs/folder, step {step}" in out  # every input is a window

    images = sorted((voc_folder / "JPEGImages").glob("val_*.jpg"))
    out, _ = run("predict.py", "--ckpt=runs/folder", *images, "--output=modes", *flags, cwd=cwd)
    assert "5 images, compiled shapes: 1" in out
    total = count_predictions(voc_folder, cwd / "modes")
    # Batches of one and of eight may round differently where two classes are as likely.
    assert np.abs(total - scores["confusion_matrix"]).sum() <= 4


@pytest.fixture(scope="module")
def voc_run(tmp_path_factory):
    """A workdir of a network for VOC's classes, not trained, and a miniature of VOC beside it."""
    cwd = tmp_path_factory.mktemp("voc_user")
    make_voc(cwd)
    fields, color = {"num_classes": 21}, (1.0, 1.0, 1.0)
    names, palette = VOC_CLASSES.names, VOC_CLASSES.palette[:21].tolist()
    info = ModelInfo("_tiny", fields, names, palette, color, color)
    write_untrained(cwd / "runs/voc", info, step=3, miou=0.5)
    config = default_config()
    config.data.val = "voc_segmentation:val"
    config.data.manual_dir, config.data.data_dir = str(cwd), str(cwd / "data")
    (cwd / "runs/voc/config.json").write_text(config.to_json())
    return cwd


def read_submission(path):
    """Return the class maps of a submission by id."""
    folder = "results/VOC2012/Segmentation/comp6_test_cls/"
    with tarfile.open(path) as archive:
        return {
            member.name.removeprefix(folder).removesuffix(".png"): np.asarray(
                Image.open(archive.extractfile(member))
            )
            for member in archive
        }


@pytest.mark.slow
def test_submission_of_an_unlabelled_split_holds_what_predict_writes(voc_run):
    flags = ["--ckpt=runs/voc", "--flip"]
    out, _ = run("evaluate.py", *flags, "--split=test", "--submission=test.tar.gz", cwd=voc_run)
    assert "wrote test.tar.gz: 1 images, compiled shapes: 1" in out
    assert "mIoU" not in out
    photo = voc_run / f"VOCdevkit/VOC2012/JPEGImages/{VOC_TEST[0]}.jpg"
    run("predict.py", *flags, photo, cwd=voc_run)
    submitted = read_submission(voc_run / "test.tar.gz")
    assert submitted.keys() == {*VOC_TEST}
    alone = np.asarray(Image.open(voc_run / f"predictions/{VOC_TEST[0]}.png"))
    assert submitted[VOC_TEST[0]].shape == alone.shape == (24, 32)
    # Batches of one and of eight may round differently where two classes are as likely.
    assert (submitted[VOC_TEST[0]] == alone).mean() > 0.99


@pytest.mark.slow
def test_submission_of_a_labelled_split_has_the_scores_that_are_written(voc_run):
    flags = ["--ckpt=runs/voc", "--submission=val.tar.gz", "--json=val.json"]
    out, _ = run("evaluate.py", *flags, cwd=voc_run)
    assert "mIoU" in out
    submitted = read_submission(voc_run / "val.tar.gz")
    assert submitted.keys() == {*VOC_VAL}
    total = np.zeros((21, 21), int)
    for number, key in enumerate(VOC_VAL):
        truth = box_label(number + 1)
        pair = truth[truth != 255], submitted[key][truth != 255]
        total += confusion_matrix(*pair, labels=range(21))
    assert json.loads((voc_run / "val.json").read_text())["confusion_matrix"] == total.tolist()


@pytest.mark.slow
def test_a_protocol_is_named_where_its_scores_are_and_predicts_the_same(voc_run):
    flags = ["--ckpt=runs/voc", "--protocol=deeplab_v1_voc"]
    elsewhere = "--split=voc_segmentation:train"  # a data set may be named, too
    out, _ = run("evaluate.py", *flags, elsewhere, "--json=protocol.json", cwd=voc_run)
    scores = json.loads((voc_run / "protocol.json").read_text())
    assert scores["settings"]["protocol"] == "deeplab_v1_voc"
    assert scores["settings"]["pad_to"] == [513, 513]
    assert scores["settings"]["split"] == "voc_segmentation:train"
    assert scores["num_compiled_shapes"] == 1
    photo = voc_run / f"VOCdevkit/VOC2012/JPEGImages/{VOC_VAL[0]}.jpg"
    out, _ = run("predict.py", *flags, photo, "--output=protocol", cwd=voc_run)
    assert np.asarray(Image.open(voc_run / f"protocol/{VOC_VAL[0]}.png")).shape == (24, 32)
    _, err = run("predict.py", *flags, photo, "--flip", cwd=voc_run, code=2)
    assert err.startswith("error: --protocol=deeplab_v1_voc says all of it; leave out --flip")
    assert err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split=test", "--submission=a.tar.gz", "--json=a.json"], "has no labels: no scores"),
        (["--submission=VOCdevkit/VOC2012/ImageSets"], "VOC2012/ImageSets cannot be written"),
    ],
)
def test_what_a_submission_cannot_be_gets_one_line(voc_run, flags, message):
    _, err = run("evaluate.py", "--ckpt=runs/voc", *flags, cwd=voc_run, code=2)
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not (voc_run / "a.tar.gz").exists()


def test_predictions_are_indexed_and_of_the_size_of_their_images(trained, tmp_path):
    """Also where a file among them is damaged, and some lie deeper."""
    cwd, _, _ = trained
    rng = np.random.default_rng(0)
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/aa.png").write_bytes(b"no image")
    for name, size in (("a", (33, 47)), ("deep/b", (50, 21))):
        image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / f"in/{name}.jpg")
    flags = f"--ckpt={cwd / 'runs/folder'}", "--output=o", "--recursive"
    out, err = run("predict.py", *flags, "in", cwd=tmp_path, code=1)
    assert "2 images, compiled shapes: " in out
    assert err.splitlines()[0] == "1 of 3 files cannot be read:"
    assert err.splitlines()[1].startswith("in/aa.png: not a readable image")
    mask = Image.open(tmp_path / "o/a.png")
    assert (mask.mode, mask.size) == ("P", (47, 33))
    assert set(np.unique(mask)) <= {0, 1, 2}
    assert mask.getpalette()[:9] == [0, 0, 0, 230, 159, 0, 86, 180, 233]
    with Image.open(tmp_path / "o/deep/b_overlay.png") as overlay:
        assert overlay.mode == "RGB"


@pytest.mark.slow
def test_crf_search_ranks_the_grid(trained):
    cwd, _, _ = trained
    grid = ["--bilateral_weight=2,4", "--bilateral_sxy=10", "--bilateral_srgb=20"]
    out, _ = run(
        "-m", "gcn_jax", "crf-search", "--ckpt=runs/folder", "--num_images=3", *grid, cwd=cwd
    )
    assert "3 images of folder:val" in out
    assert "no CRF" in out
    assert "without a CRF: mIoU" in out
    _, err = run(
        "-m", "gcn_jax", "crf-search", "--ckpt=runs/folder", "--bilateral_sxy=0", cwd=cwd, code=2
    )
    assert err == "error: CRF parameter bilateral_sxy is 0.0; it must be positive\n"


def test_interrupted_training_says_how_to_go_on(trained):
    cwd, command, _ = trained
    arguments = [*command, "--config.num_steps=100000", "--workdir=runs/stopped"]
    process = start("train.py", *arguments, cwd=cwd)
    while not (cwd / "runs/stopped/checkpoints/4").is_dir():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, err
    assert "stopped by SIGINT after step" in out
    assert "is saved, from which the same command goes on" in out
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_checkpoint_that_finds_no_room_ends_in_one_line(trained):
    """A limit of the size of a file stands for a full disk."""
    cwd, command, _ = trained
    limits = "import resource, runpy, sys; "
    limits += "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000)); "
    limits += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    arguments = ["-c", limits, ROOT / "train.py", *command, "--workdir=runs/full"]
    ended = subprocess.run(
        [sys.executable, *map(str, arguments), "--compilation_cache="],
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert re.fullmatch(
        "error: the checkpoint of step 4 cannot be .*File too large.*; nothing is saved yet", line
    )


def test_all_that_a_run_needs_is_asked_for_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing answers there
    flags = ["--dry_run", f"--config.data.data_dir={tmp_path}"]
    _, err = run("train.py", f"--config={ROOT}/configs/stage1.py", *flags, cwd=tmp_path, code=2)
    lines = err.splitlines()
    for line, beginning in zip(
        lines,
        [
            "1. data.train coco_voc:train: coco_voc is not prepared; run `gcn-jax data prepare",
            "2. data.train sbd:train_noval: sbd is not prepared; run",
            "3. data.train voc_segmentation:train: voc_segmentation is not prepared; run",
            "4. backbone_weights: backbone_weights=imagenet: https://download.pytorch.org/models/resnet152",
            "error: 4 things that this run needs are missing",
        ],
        strict=True,
    ):
        assert line.startswith(beginning)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", f"--config={ROOT}/configs/none.py"], "configs/none.py: no such file"),
        (
            ["train", f"--config={ROOT}/configs/folder.py", "--config.lr=1"],
            "there is no setting 'lr'",
        ),
        (["evaluate", "--ckpt=nowhere"], "nowhere is not the workdir of a training run"),
        (["evaluate", "--ckpt=runs/folder", "--split=test"], "folder has no split 'test'"),
        (["evaluate", "--ckpt=runs/folder", "--scales=1,x"], "--scales=1,x: give numbers"),
        (
            ["crf-search", "--ckpt=runs/folder", "--crf=deeplab_v1"],
            "a CRF is what search looks for",
        ),
        (["predict", "--ckpt=runs/folder"], "no image; give files or folders"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(trained, words, message, monkeypatch, capsys):
    monkeypatch.chdir(trained[0])
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert_one_line(capsys.readouterr().err, message)


def test_no_library_says_a_word_beside_the_line_of_a_mistake(trained):
    """Errors of a process are what libraries in C write there, too."""
    flags = ("--ckpt=runs/folder", "--submission=a.tar.gz")
    _, err = run("evaluate.py", *flags, cwd=trained[0], code=2)
    assert_one_line(err, "21 classes of PASCAL VOC; the model has background, square, disc")


def assert_one_line(err, message):
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert message in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "network"),
    [
        ("fcn8s", ["width=0.0625"]),
        ("segnet", ["width=0.0625"]),
        ("deeplab_largefov", ["width=0.0625"]),
        ("deeplab_v2", ["name=deeplab_v2_resnet18"]),
        ("pspnet", ["name=pspnet_resnet18"]),
        ("deeplabv3", ["name=deeplabv3_resnet18"]),
        ("deeplabv3plus", ["name=deeplabv3plus_resnet18"]),
    ],
)
def test_rivals_go_through_the_same_verbs(config, network, voc_folder, tmp_path):
    settings = [
        "data.train=('folder:train',)",
        "data.val=folder:val",
        f"data.manual_dir={voc_folder}",
        f"data.data_dir={tmp_path / 'data'}",
        *(f"model.{field}" for field in network),
        "batch_size=2",
        "num_devices=1",
        "augment.crop_size=(33,48)",
        "num_steps=2",
        "log_every=1",
        "eval_every=2",
        "checkpoint_every=2",
        "eval_batch_size=2",
    ]
    flags = [f"--config.{setting}" for setting in settings]
    recipe = tmp_path / f"{config}.py"  # from the seed: there is no network to download weights by
    text = (ROOT / "configs" / recipe.name).read_text()
    recipe.write_text(re.sub(r".*config\.backbone_weights = .*\n", "", text))
    out, _ = run("train.py", "--config", recipe, *flags, "--workdir=run", cwd=tmp_path)
    assert "step 2: val mIoU" in out
    run("evaluate.py", "--ckpt=run", "--json=scores.json", cwd=tmp_path)
    assert len(json.loads((tmp_path / "scores.json").read_text())["images"]) == 5
    image = voc_folder / "JPEGImages" / "val_00.jpg"
    run("predict.py", "--ckpt=run", image, cwd=tmp_path)
    labels = np.asarray(Image.open(tmp_path / "predictions" / "val_00.png"))
    assert labels.shape == np.asarray(Image.open(image)).shape[:2]
    assert set(np.unique(labels)) <= {0, 1, 2}
