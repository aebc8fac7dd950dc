"""The verb `export`, on an untrained run."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from gcn_jax import export
from gcn_jax.cli import export as verb
from gcn_jax.cli import process
from gcn_jax.errors import UserError
from gcn_jax.models import from_pretrained
from tests.helpers.exported import photos
from tests.helpers.runs import INFO, write_untrained


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    path = tmp_path_factory.mktemp("user") / "run"
    write_untrained(path, dataclasses.replace(INFO, name="classifier", fields={
        "num_classes": 3, "backbone": "_tiny"}), 5, 0.5)  # fmt: skip
    return path


def test_stablehlo_of_a_run_on_images_of_the_users(workdir, tmp_path, capsys):
    for index in range(2):
        Image.fromarray(photos(40, 70, seed=index)).save(tmp_path / f"{index}.png")
    file = tmp_path / "model.stablehlo"
    process.call(verb, ["--ckpt", str(workdir), "--output", str(file), "--images", str(tmp_path)])
    out = capsys.readouterr().out
    assert "compared on the images given, 2 x 64 x 96 and 1 x 32 x 64 (N x H x W):" in out
    pixels = 2 * 64 * 96 + 32 * 64
    for kind in ("labels", "logits"):
        line = rf"{kind}: the largest difference is \d\.\de[-+]\d\d of the spread .* 0 of {pixels} "
        assert re.search(line, out)
    assert f"{file}: step 5, for images of any size and number, cpu, cuda, tpu" in out
    segment = export.load(file)
    model, variables = from_pretrained(workdir)
    images = photos(1, 32, 32)
    normalised = (images - np.float32(INFO.mean)) / np.float32(INFO.std)
    expected = model.apply(variables, normalised)
    np.testing.assert_allclose(segment(images, "logits"), expected, rtol=1e-4, atol=1e-5)


def test_validation_images_of_the_run_are_compared_on(workdir, voc_folder, tmp_path, capsys):
    copy = shutil.copytree(workdir, tmp_path / "run")
    folders = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path / "data")}
    config = {"data": {"train": ["folder:train"], "val": "folder:val", **folders}}
    (copy / "config.json").write_text(json.dumps(config))
    options = ["--output", str(tmp_path / "model"), "--output_kind=labels"]
    process.call(verb, ["--ckpt", str(copy), *options])
    # The first three are of 32 x 40, 35 x 45 and 38 x 40 pixels.
    expected = "compared on validation images of the run, 3 x 64 x 64 and 1 x 32 x 32 (N x H x W):"
    assert expected in capsys.readouterr().out


def test_onnx_of_a_run_without_data_on_drawn_images(workdir, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'gcn-jax[onnx]'")
    file = tmp_path / "model.onnx"
    options = ["--format=onnx", "--size=48,72", "--output_kind=logits"]
    process.call(verb, ["--ckpt", str(workdir), "--output", str(file), *options])
    out, err = capsys.readouterr()
    assert "has no config.json, which names the run's data; --images names others" in err
    assert "compared on drawn images, 3 x 48 x 72 and 4 x 48 x 72 (N x H x W):" in out
    assert "labels:" not in out
    assert "for images of 48 x 72 pixels" in out
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["logits"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--size=32,32"], "--size is for --format onnx and web"),
        (["--format=onnx", "--size=32"], "--size=32 is no HEIGHT,WIDTH"),
        (["--format=onnx", "--size=0,32"], "--size=0,32 is no HEIGHT,WIDTH"),
        (["--output_kind=masks"], "the outputs are masks; choose of: labels, logits"),
        (["--step=6"], "has no checkpoint of step 6"),
    ],
)
def test_what_makes_no_sense_is_said(workdir, tmp_path, flags, message):
    if "--format=onnx" in flags:
        pytest.importorskip("onnxruntime", reason="pip install 'gcn-jax[onnx]'")
    file = tmp_path / "model"
    with pytest.raises(UserError, match=message):
        process.call(verb, ["--ckpt", str(workdir), "--output", str(file), *flags])
    assert not file.exists()
