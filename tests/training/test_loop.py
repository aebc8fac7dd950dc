"""Whole runs on twelve small images: what a user would see, and what a kill must not change."""

import json
import os
import shutil
import signal

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from gcn_jax import models
from gcn_jax.errors import UserError
from gcn_jax.training import default_config, loop, train_and_evaluate
from gcn_jax.training.logs import read_metrics


@pytest.fixture(scope="module")
def config(voc_folder, tmp_path_factory):
    config = default_config()
    config.num_devices = 1
    config.model.name = "_tiny"
    config.model.kernel_size = 5
    config.data.train = ("folder:train",)
    config.data.val = "folder:val"
    config.data.manual_dir = str(voc_folder)
    config.data.data_dir = str(tmp_path_factory.mktemp("data"))
    config.data.num_threads = 2
    config.augment.crop_size = (32, 48)
    config.augment.scale = (0.8, 1.25)
    config.augment.jitter = 0.2
    config.batch_size = 4
    config.num_steps = 12
    config.log_every = 4
    config.eval_every = 6
    config.checkpoint_every = 4
    config.eval_batch_size = 4
    config.optimizer.ema_decay = 0.9
    config.optimizer.learning_rate = 0.05
    return config.lock()


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """The workdir and the state of an uninterrupted run."""
    workdir = tmp_path_factory.mktemp("run") / "whole"
    return workdir, train_and_evaluate(config, workdir)


def assert_identical(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_workdir_holds_what_its_contract_says(finished, config):
    workdir, state = finished
    assert int(state.step) == 12
    names = {path.name for path in workdir.iterdir()}
    assert {"config.json", "model.json", "checkpoints", "metrics.jsonl"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert json.loads((workdir / "config.json").read_text())["model"]["name"] == "_tiny"
    info = models.read_info(workdir)
    assert info.class_names == ("background", "square", "disc")
    assert info.palette == ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    assert info.mean == config.data.mean
    lines = read_metrics(workdir / "metrics.jsonl")
    assert [line["step"] for line in lines] == [4, 6, 8, 12]
    assert all(np.isfinite(line["train/loss"]) for line in lines)
    assert [line["step"] for line in lines if "val/miou" in line] == [6, 12]
    np.testing.assert_allclose(lines[1]["learning_rate"], 0.05 * (1 - 5 / 12) ** 0.9, rtol=1e-5)


def test_newest_two_and_best_checkpoints_are_kept(finished):
    workdir, _ = finished
    scores = {
        line["step"]: line["val/miou"]
        for line in read_metrics(workdir / "metrics.jsonl")
        if "val/miou" in line
    }
    best = max(scores, key=scores.get)
    kept = {int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()}
    assert kept == {8, 12} | {best}


def test_pretrained_gives_the_averaged_weights(finished):
    workdir, state = finished
    model, variables = models.from_pretrained(workdir, step="last")
    assert_identical(variables["params"], state.ema_params)
    assert_identical(variables["batch_stats"], state.batch_stats)
    assert model == models.create_model("_tiny", num_classes=3, kernel_size=5)
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3)).astype(np.uint8)
    mean, std = (np.asarray(variables["preprocessing"][key]) for key in ("mean", "std"))
    padded = np.full((64, 64, 3), [124, 116, 104], np.uint8)
    padded[:33, :47] = image
    normalised = ((padded - mean[None, None]) / std[None, None]).astype(np.float32)[None]
    expected = np.argmax(model.apply(variables, normalised)[0], axis=-1)[:33, :47]
    np.testing.assert_array_equal(models.predict(model, variables, image), expected)
    with pytest.raises(UserError, match="uint8"):
        models.predict(model, variables, image / 255)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_ends_bit_identical(finished, config, tmp_path, monkeypatch, number):
    """A signal between steps 6 and 7 saves; the same call goes on; nothing differs at the end."""
    workdir, whole = finished
    steps = []
    to_devices = loop._to_devices

    def interrupt(*args):
        steps.append(len(steps) + 1)
        if len(steps) == 7:
            os.kill(os.getpid(), number)
        return to_devices(*args)

    monkeypatch.setattr(loop, "_to_devices", interrupt)
    with pytest.raises(SystemExit) as stopped:
        train_and_evaluate(config, tmp_path / "run")
    assert stopped.value.code == 128 + number
    assert (tmp_path / "run/checkpoints/7").is_dir()
    assert signal.getsignal(number) is not None
    monkeypatch.undo()
    assert_identical(train_and_evaluate(config, tmp_path / "run"), whole)
    kept = ("step", "val/miou")
    lines, expected = (
        [{k: line.get(k) for k in kept} for line in read_metrics(folder / "metrics.jsonl")
         if line["step"] != 7]
        for folder in (tmp_path / "run", workdir)
    )  # fmt: skip
    assert lines == expected


def test_killed_run_goes_on_from_its_last_checkpoint(finished, config, tmp_path, capsys):
    """Without a goodbye: the newest checkpoint is there, later lines of the log are not doubled."""
    workdir, whole = finished
    shutil.copytree(workdir, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/12")
    with (tmp_path / "run/metrics.jsonl").open("a") as file:
        file.write('{"step": 13, "train/l')  # cut by the kill
    assert_identical(train_and_evaluate(config, tmp_path / "run"), whole)
    assert "after step 8" in capsys.readouterr().out
    lines = read_metrics(tmp_path / "run/metrics.jsonl")
    assert [line["step"] for line in lines] == [4, 6, 8, 12]


def test_damaged_newest_checkpoint_falls_back_with_a_warning(finished, config, tmp_path):
    workdir, whole = finished
    shutil.copytree(workdir, tmp_path / "run")
    for path in (tmp_path / "run/checkpoints/12/state").rglob("d/*"):
        path.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match=r"checkpoints/12 cannot be read"):
        models.from_pretrained(tmp_path / "run", step="last")
    with pytest.warns(UserWarning, match=r"(12 cannot be read|is now .*damaged-12)"):
        assert_identical(train_and_evaluate(config, tmp_path / "run"), whole)
    assert (tmp_path / "run/damaged-12/state").is_dir()
    assert (tmp_path / "run/checkpoints/12").is_dir()


def test_nothing_readable_is_an_error_not_a_new_run(finished, config, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    for path in (tmp_path / "run/checkpoints").rglob("d/*"):
        path.write_bytes(b"damaged")
    with (
        pytest.warns(UserWarning, match="cannot be read"),
        pytest.raises(UserError, match="no checkpoint can be read"),
    ):
        train_and_evaluate(config, tmp_path / "run")
    with (
        pytest.warns(UserWarning, match="cannot be read"),
        pytest.raises(UserError, match="none of the checkpoints"),
    ):
        models.from_pretrained(tmp_path / "run")


def test_finished_run_is_left_as_it_is(finished, config, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    assert_identical(train_and_evaluate(config, tmp_path / "run"), finished[1])


def changed(config, **settings):
    config = config.copy_and_resolve_references()
    config.update_from_flattened_dict(settings)
    return config


def test_other_settings_in_the_same_workdir_are_refused(finished, config):
    other = changed(config, **{"model.kernel_size": 7, "batch_size": 2, "log_every": 1})
    with pytest.raises(
        UserError,
        match=r"holds another run \(batch_size is 2, was 4; model.kernel_size is 7, was 5",
    ):
        train_and_evaluate(other, finished[0])


def test_non_finite_loss_names_the_step_and_the_last_good_checkpoint(config, tmp_path):
    hot = changed(
        config, **{"optimizer.learning_rate": 1e18, "checkpoint_every": 1, "log_every": 3}
    )
    with pytest.raises(UserError, match=r"the loss is (nan|inf) at step [23]; .*checkpoints/1\."):
        train_and_evaluate(hot, tmp_path / "run")
    with ocp.CheckpointManager((tmp_path / "run/checkpoints").resolve()) as manager:
        assert manager.latest_step() == 1


def test_batch_that_does_not_divide_is_refused(config, tmp_path):
    with pytest.raises(UserError, match="batch_size 4 does not divide .* over 8 devices"):
        train_and_evaluate(changed(config, num_devices=8), tmp_path / "run")
    with pytest.raises(UserError, match="num_devices is 9; there are 8 devices"):
        train_and_evaluate(changed(config, num_devices=9), tmp_path / "run")


def test_accumulation_over_devices_runs(config, tmp_path):
    parts = changed(
        config,
        **{"optimizer.accumulate": 2, "num_devices": 2, "num_steps": 2, "optimizer.ema_decay": 0.0},
    )
    state = train_and_evaluate(parts, tmp_path / "run")
    assert int(state.step) == 2
    assert state.ema_params is None


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_folder_that_is_no_workdir(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"is not the workdir of a training run"):
        models.from_pretrained(tmp_path / name)


def test_unknown_step_of_a_workdir(finished):
    with pytest.raises(UserError, match=r"has no checkpoint of step 3; it has \["):
        models.from_pretrained(finished[0], step=3)
