"""`predict` in this process, by a network in memory."""

import dataclasses

import numpy as np
from PIL import Image

from gcn_jax import models
from gcn_jax.cli.main import main
from gcn_jax.inference import large
from gcn_jax.report import pictures
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
