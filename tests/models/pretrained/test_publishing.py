"""A trained model goes to the hub and comes back, by a local fake of it."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import optax
import pytest
import safetensors.numpy

from gcn_jax import models
from gcn_jax.errors import UserError
from gcn_jax.models.pretrained.info import write_info
from gcn_jax.training import default_config
from gcn_jax.training.checkpoints import Checkpoints
from gcn_jax.training.state import create_state
from gcn_jax.workdir import Origin, Workdir
from tests.helpers.fake_hub import FakeHub
from tests.helpers.runs import INFO


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """What a run leaves: two checkpoints, the first of which is the better one."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    workdir.mkdir()
    write_info(workdir, INFO)
    config = default_config()
    config.data.manual_dir = "/home/somebody/photos"
    config.init_from = "/home/somebody/runs/stage1"
    config.backbone_weights = "hf://timm/resnet18.a1_in1k"
    (workdir / "config.json").write_text(config.to_json())
    model, tx = models.create_model("_tiny", num_classes=3), optax.identity()
    state = jax.jit(lambda rng: create_state(model, tx, rng, ema=True))(jax.random.key(0))
    checkpoints = Checkpoints(workdir)
    lines = []
    for step, miou in ((4, 0.75), (8, 0.5)):
        scores = {"val/miou": miou, "val/pixel_accuracy": 0.875}
        checkpoints.save(step, state, {})
        checkpoints.add_scores(step, scores)
        state = jax.tree.map(lambda leaf: leaf + 1, state)
        lines.append(json.dumps({"step": step, "train/loss": 1.0, **scores}))
    checkpoints.close()
    (workdir / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 9, "tr']))
    return workdir


@pytest.fixture
def hub(tmp_path, monkeypatch):
    return FakeHub(tmp_path, monkeypatch)


def test_a_model_comes_back_as_it_was(hub, workdir):
    assert models.push_to_hub(workdir, "me/tiny") == "hf://me/tiny"
    local, published = models.load_pretrained(workdir), models.load_pretrained("hf://me/tiny")
    assert published.step == local.step == 4
    assert published.model == local.model
    assert published.info == local.info == INFO
    jax.tree.map(np.testing.assert_array_equal, published.variables, local.variables)
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3)).astype(np.uint8)
    np.testing.assert_array_equal(
        models.predict(*models.from_pretrained("hf://me/tiny"), image),
        models.predict(*models.from_pretrained(workdir), image),
    )
    assert [name for name, _ in hub.calls] == ["create_repo", "upload_folder"]
    assert hub.calls[0][1] == {"repo_id": "me/tiny", "private": False, "exist_ok": True}


def test_the_card_holds_scores_settings_and_preprocessing_but_no_folders(hub, workdir):
    models.push_to_hub(workdir, "me/tiny")
    folder = hub.folder("me/tiny")
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: gcn_jax\n")
    assert 'from_pretrained("hf://me/tiny")' in card
    assert "background, square, disc" in card
    assert "Of step 4, on shapes:val:" in card
    assert "| val/miou | 0.7500 |" in card
    assert "mean (100.0, 110.0, 120.0) and std (1.0, 2.0, 3.0)" in card
    settings = json.loads((folder / "training.json").read_text())
    assert f"```json\n{json.dumps(settings, indent=2)}\n```" in card
    assert settings["data"]["manual_dir"] == "photos"
    assert settings["init_from"] == "stage1"
    assert settings["backbone_weights"] == "hf://timm/resnet18.a1_in1k"
    assert settings["optimizer"]["momentum"] == 0.9
    assert "somebody" not in card
    assert json.loads((folder / "scores.json").read_text()) == {
        "step": 4,
        "val/miou": 0.75,
        "val/pixel_accuracy": 0.875,
    }


def test_another_checkpoint_can_be_pushed_but_only_one_is_there(hub, workdir):
    models.push_to_hub(workdir, "me/tiny", step="last", private=True)
    assert models.load_pretrained("hf://me/tiny").step == 8
    assert hub.calls[0][1]["private"]
    with pytest.raises(UserError, match="hf://me/tiny holds one checkpoint"):
        models.from_pretrained("hf://me/tiny", step=4)


def test_what_is_not_there_or_not_whole_is_named(hub, workdir):
    with pytest.raises(UserError, match="hf://me/absent: model.json cannot be had"):
        models.from_pretrained("hf://me/absent")
    models.push_to_hub(workdir, "me/tiny")
    weights = hub.folder("me/tiny") / "model.safetensors"
    safetensors.numpy.save_file({"params/w": np.zeros(3, np.float32)}, weights)
    with pytest.raises(UserError, match="model.safetensors is not of the model"):
        models.from_pretrained("hf://me/tiny")


class ConnectError(Exception):
    """As of huggingface_hub's HTTP client: no kind of OSError."""


@pytest.mark.parametrize("error", [OSError, ConnectError])
def test_a_hub_that_refuses_is_named(hub, workdir, monkeypatch, error):
    def refuse(*args, **kwargs):
        raise error("401 Client Error\nInvalid username or password.")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
    with pytest.raises(UserError, match=r"me/tiny cannot be pushed: 401 Client Error$"):
        models.push_to_hub(workdir, "me/tiny")


def test_what_is_no_workdir_is_named(tmp_path):
    file = tmp_path / "model.json"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"model.json is not the workdir of a training run"):
        models.from_pretrained(file)
    with pytest.raises(UserError, match=r"model.json is damaged .*can't decode byte 0xff"):
        models.from_pretrained(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"step": "4"}', b"[" * 100_000])
def test_damaged_scores_are_said(hub, workdir, content):
    models.push_to_hub(workdir, "me/tiny")
    (hub.folder("me/tiny") / "scores.json").write_bytes(content)
    with pytest.raises(UserError, match=r"scores.json is damaged"):
        models.load_pretrained("hf://me/tiny")


def test_an_imported_network_goes_to_the_hub_with_its_origin(hub, workdir, tmp_path):
    """The file is named as it is called, without the folder that it lay in here."""
    origin = Origin("/home/somebody/net.pth", "ab12", "Nets of a/b", "MIT", "https://a.b")
    imported = tmp_path / "imported"
    shutil.copytree(workdir, imported)
    Workdir(imported).write_origin(origin)
    models.push_to_hub(imported, "me/imported")
    folder = hub.folder("me/imported")
    assert Workdir(folder).read_origin() == dataclasses.replace(origin, source="net.pth")
    card = " ".join((folder / "README.md").read_text().split())
    assert (
        "imported by gcn_jax from net.pth, a file of Nets of a/b (https://a.b; licence: MIT), to "
        "tell 3 classes apart"
    ) in card
    assert "trained by" not in card
