"""`evaluate` in this process."""

import pytest

from gcn_jax import models
from gcn_jax.cli import evaluate
from gcn_jax.cli.main import main
from gcn_jax.data import open_split
from gcn_jax.errors import UserError
from gcn_jax.inference import large


def test_the_largest_image_is_named_before_anything_is_loaded(
    voc_folder, tmp_path, monkeypatch, capsys
):
    def load(*args, **how):
        raise UserError("loaded")

    val = open_split("folder:val", {"manual_dir": str(voc_folder), "data_dir": str(tmp_path)})
    monkeypatch.setattr(evaluate, "open_run_data", lambda *_: val)
    monkeypatch.setattr(models, "load_pretrained", load)
    monkeypatch.setattr(large, "WHOLE_PIXELS", 2_000)  # of an image padded to 64 x 64
    with pytest.raises(SystemExit):
        main(["evaluate", "--ckpt=x"])
    said = capsys.readouterr()
    assert "above 2000 pixels, in windows: 5; val_01 has 45 x 35 pixels, which take" in said.out
    assert said.err == "error: loaded\n"
    with pytest.raises(SystemExit):
        main(["evaluate", "--ckpt=x", "--crf=deeplab_v1"])
    assert "pixels: not with a CRF" in capsys.readouterr().err
