"""`predict` in this process, by a network in memory."""

import dataclasses
from fractions import Fraction

import jax
import numpy as np
import pytest
from PIL import Image

from gcn_jax import models
from gcn_jax.cli.main import main
from gcn_jax.inference import large
from gcn_jax.report import pictures
from gcn_jax.report.video import pictures_to
from tests.helpers.fakes import INFO, tiny_pretrained


def test_bits_are_those_of_the_training(tmp_path, monkeypatch):
    info = dataclasses.replace(INFO, bit_depth=12)
    monkeypatch.setattr(models, "load_pretrained", lambda *_: tiny_pretrained(info=info))
    values = np.random.default_rng(0).integers(0, 4096, (32, 32), np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    Image.fromarray((values // 16).astype(np.uint8)).save(tmp_path / "flat.png")
    files = [str(tmp_path / name) for name in ("deep.png", "flat.png")]
    main(["predict", "--ckpt=x", *files, f"--output={tmp_path / 'out'}"])
    deep, flat = (np.asarray(Image.open(tmp_path / f"out/{name}.png")) for name in ("deep", "flat"))
    np.testing.assert_array_equal(deep, flat)
    assert len(np.unique(flat)) > 1


def test_a_large_image_is_said_to_be_one_and_painted_in_parts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(models, "load_pretrained", lambda *_: tiny_pretrained())
    monkeypatch.setattr(large, "WHOLE_PIXELS", 2_000)
    monkeypatch.setattr(pictures, "_PIXELS_AT_A_TIME", 200)
    monkeypatch.setattr(pictures, "_EFFORT_PIXELS", 2_000)
    noise = np.random.default_rng(0).integers(0, 256, (64, 50, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    main(["predict", "--ckpt=x", str(tmp_path / "a.png"), f"--output={tmp_path / 'out'}"])
    assert "above 2000 pixels, in windows: 1; " in capsys.readouterr().out
    label = np.asarray(Image.open(tmp_path / "out/a.png"))
    assert label.shape == (64, 50)
    colors = np.asarray(INFO.palette, float)[label]
    overlay = np.asarray(Image.open(tmp_path / "out/a_overlay.png"))[:64, :50]
    np.testing.assert_array_equal(overlay, np.rint(noise / 2 + colors / 2))


def test_probabilities_of_a_large_image_are_a_file_too(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "load_pretrained", lambda *_: tiny_pretrained())
    noise = np.random.default_rng(0).integers(0, 256, (64, 50, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    words = ["predict", "--ckpt=x", str(tmp_path / "a.png"), "--probabilities"]
    main([*words, f"--output={tmp_path / 'whole'}"])
    monkeypatch.setattr(large, "WHOLE_PIXELS", 2_000)
    main([*words, f"--output={tmp_path / 'windows'}"])
    whole, windows = (
        np.load(tmp_path / name / "a_probabilities.npy") for name in ("whole", "windows")
    )
    assert whole.shape == windows.shape == (64, 50, len(INFO.class_names))
    np.testing.assert_allclose(whole, windows, atol=2e-3)


def test_videos_images_and_bad_files_in_one_command(tmp_path, monkeypatch, capsys):
    pytest.importorskip("av", reason="pip install 'gcn-jax[video]'")
    monkeypatch.setattr(models, "load_pretrained", lambda *_: tiny_pretrained())
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    with pictures_to(tmp_path / "a.mp4", (48, 64), Fraction(25), Fraction(1, 25)) as add:
        for number in range(3):
            add(noise, number)
    (tmp_path / "bad.mov").write_bytes(b"nothing")
    output = tmp_path / "out"
    files = [str(tmp_path / name) for name in ("a.png", "bad.mov", "a.mp4")]
    with pytest.raises(SystemExit) as stop:
        main(["predict", "--ckpt=x", *files, f"--output={output}"])
    assert stop.value.code == 1
    out, err = capsys.readouterr()
    assert f"a.mp4, 3 frames -> {output / 'a_mp4.mkv'}, {output / 'a_mp4_overlay.mp4'}" in out
    assert "1 image, 1 video, compiled shapes: 1" in out
    assert "1 of 3 files cannot be read:" in err
    assert "bad.mov: not a readable video" in err
    assert sorted(file.name for file in output.iterdir()) == [
        "a_mp4.mkv", "a_mp4_overlay.mp4", "a_png.png", "a_png_overlay.png",
    ]  # fmt: skip
    for words, message in (
        (["--probabilities"], "a.mp4: --probabilities is for images; leave it out"),
        ([f"--output={tmp_path}", str(tmp_path / "a_overlay.mp4")], "no such file"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["predict", "--ckpt=x", files[2], *words])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


def test_a_video_is_not_overwritten(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.mkv").write_bytes(b"somebody's")
    with pytest.raises(SystemExit) as stop:
        main(["predict", "--ckpt=x", str(tmp_path / "a.mkv"), f"--output={tmp_path}"])
    assert stop.value.code == 2
    assert "a.mkv is a file to predict and would be overwritten" in capsys.readouterr().err
    assert (tmp_path / "a.mkv").read_bytes() == b"somebody's"


def test_devices_share_the_rows_of_an_image(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(models, "load_pretrained", lambda *_: tiny_pretrained())
    noise = np.random.default_rng(0).integers(0, 256, (256, 50, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    words = ["predict", "--ckpt=x", str(tmp_path / "a.png")]
    main([*words, f"--output={tmp_path / 'alone'}"])
    monkeypatch.setattr(large, "WHOLE_PIXELS", 2_000)
    main([*words, f"--output={tmp_path / 'shared'}", "--split_height"])
    assert "in windows" not in capsys.readouterr().out
    alone, shared = (np.asarray(Image.open(tmp_path / f"{n}/a.png")) for n in ("alone", "shared"))
    assert (alone == shared).mean() > 0.999  # rounding decides between equals
    device = jax.devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: device)
    with pytest.raises(SystemExit) as left:
        main([*words, f"--output={tmp_path / 'one'}", "--split_height"])
    assert left.value.code == 2
    assert "--split_height is for several devices, and there is one" in capsys.readouterr().err
