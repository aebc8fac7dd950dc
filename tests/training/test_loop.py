"""Whole runs on twelve small images: what a user would see, and what a kill must not change."""

import dataclasses
import json
import os
import shutil
import signal
import time

import jax
import numpy as np
import pytest

from gcn_jax import data, models
from gcn_jax.errors import UserError
from gcn_jax.evaluation.metrics import SCORES
from gcn_jax.models.network import variable_shapes
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.models.pretrained.info import write_info
from gcn_jax.models.registry import MODELS
from gcn_jax.training import default_config, loop, train_and_evaluate
from gcn_jax.training.config import check_same_run, model_settings
from gcn_jax.training.initial_weights import start_variables
from gcn_jax.training.metrics_log import COUNTED_METRIC
from gcn_jax.workdir import Workdir
from tests.helpers.runs import INFO, assert_identical, changed, kept_steps, timeless


def test_workdir_holds_what_its_contract_says(finished, config):
    workdir, state = finished
    assert int(state.step) == 12
    names = {path.name for path in workdir.iterdir()}
    assert {"config.json", "model.json", "checkpoints", "metrics.jsonl", "sessions.json"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert json.loads((workdir / "config.json").read_text())["model"]["name"] == "_tiny"
    info = models.read_info(workdir)
    assert info.class_names == ("background", "square", "disc")
    assert info.palette == ((0, 0, 0), (230, 159, 0), (86, 180, 233))
    assert (info.mean, info.std) == (IMAGENET_MEAN, IMAGENET_STD)
    lines = Workdir(workdir).read_metrics()
    assert [line["step"] for line in lines] == [4, 6, 8, 12]
    assert all(np.isfinite(line["train/loss"]) for line in lines)
    assert [line["step"] for line in lines if "val/miou" in line] == [6, 12]
    logged = {f"val/{score.key}" for score in SCORES if score.logged} | {COUNTED_METRIC}
    assert {name for name in lines[1] if name.startswith("val/")} == logged
    assert logged >= {"val/miou", "val/pixel_accuracy"}
    np.testing.assert_allclose(lines[1]["learning_rate"], 0.05 * (1 - 5 / 12) ** 0.9, rtol=1e-5)


def test_training_images_are_scored_beside_the_validation(finished, config):
    workdir, _ = finished
    model, variables = models.from_pretrained(workdir, step="last")
    train = data.open_training_source(config.data.train, config.data)
    assert len(train) == 12
    matrix = np.zeros((3, 3), int)
    for index in (0, 2, 4, 7, 9):
        label = train[index]["label"]
        found = np.asarray(models.predict(model, variables, train[index]["image"]))
        np.add.at(matrix, (label[label < 255], found[label < 255]), 1)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
    expected = (np.diag(matrix)[union > 0] / union[union > 0]).mean()
    lines = [line for line in Workdir(workdir).read_metrics() if "val/miou" in line]
    np.testing.assert_allclose(lines[-1]["train/miou"], expected, rtol=1e-6)
    assert lines[0]["train/miou"] != lines[1]["train/miou"]


def test_a_run_that_waits_for_its_data_says_so(config, tmp_path, monkeypatch, capsys):
    training_batches = data.training_batches

    class Slow:
        def __init__(self, *args, **kwargs):
            self._batches = training_batches(*args, **kwargs)

        def __next__(self):
            time.sleep(0.5)
            return next(self._batches)

        def __getattr__(self, name):
            return getattr(self._batches, name)

    monkeypatch.setattr(data, "training_batches", Slow)
    every = dict.fromkeys(("num_steps", "log_every", "eval_every", "checkpoint_every"), 8)
    slow = changed(config, **every, eval_train_images=0)
    train_and_evaluate(slow, tmp_path / "slow")
    (line,) = Workdir(tmp_path / "slow").read_metrics()
    assert 0.1 < line["train/data_wait"] <= 1  # the rest are steps of a busy machine
    assert f"images/s, {line['train/data_wait']:.0%} of the time waiting for data" in (
        capsys.readouterr().out
    )
    assert "train/miou" not in line


def test_newest_two_and_best_checkpoints_are_kept(finished):
    workdir, _ = finished
    scores = {
        line["step"]: line["val/miou"]
        for line in Workdir(workdir).read_metrics()
        if "val/miou" in line
    }
    best = max(scores, key=scores.get)
    assert kept_steps(workdir) == {8, 12} | {best}


def test_pretrained_gives_the_averaged_weights(finished):
    workdir, state = finished
    model, variables = models.from_pretrained(workdir, step="last")
    assert_identical({key: variables[key] for key in ("params", "batch_stats")}, state.ema)
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


@pytest.mark.parametrize(
    ("number", "stop_step"), [(signal.SIGINT, 7), (signal.SIGTERM, 6), (signal.SIGHUP, 12)]
)
def test_interrupted_run_ends_bit_identical(
    finished, config, tmp_path, monkeypatch, number, stop_step
):
    """A signal during a step (6 and 12 validate, 7 does not) saves; the same call goes on."""
    workdir, whole = finished
    steps = []
    to_devices = loop.to_devices

    def interrupt(*args):
        steps.append(len(steps) + 1)
        if len(steps) == stop_step:
            os.kill(os.getpid(), number)
        return to_devices(*args)

    handler = signal.getsignal(number)
    monkeypatch.setattr(loop, "to_devices", interrupt)
    with pytest.raises(SystemExit) as stopped:
        train_and_evaluate(config, tmp_path / "run")
    assert stopped.value.code == 128 + number
    assert signal.getsignal(number) == handler
    assert stop_step in kept_steps(tmp_path / "run")
    monkeypatch.undo()
    assert_identical(train_and_evaluate(config, tmp_path / "run"), whole)
    assert kept_steps(tmp_path / "run") == kept_steps(workdir)
    assert timeless(tmp_path / "run") == timeless(workdir)


def test_killed_run_goes_on_from_its_last_checkpoint(finished, config, tmp_path, capsys):
    """Without a goodbye: the newest checkpoint is there, later lines of the log are not doubled."""
    workdir, whole = finished
    shutil.copytree(workdir, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/12")
    with (tmp_path / "run/metrics.jsonl").open("a") as file:
        file.write('{"step": 13, "train/l')  # cut by the kill
    assert_identical(train_and_evaluate(config, tmp_path / "run"), whole)
    assert "after step 8" in capsys.readouterr().out
    lines = Workdir(tmp_path / "run").read_metrics()
    assert [line["step"] for line in lines] == [4, 6, 8, 12]
    sessions = Workdir(tmp_path / "run").read_sessions()
    assert [session.first_step for session in sessions] == [0, 8]
    assert sessions[0] == Workdir(workdir).read_sessions()[0]
    assert all(session.seconds is not None for session in sessions)


def test_a_run_keeps_the_colours_that_it_began_with(finished, config, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    info = models.read_info(tmp_path / "run")
    old = dataclasses.replace(info, palette=((0, 0, 0), (128, 0, 0), (0, 128, 0)))
    write_info(tmp_path / "run", old)
    train_and_evaluate(config, tmp_path / "run")
    assert models.read_info(tmp_path / "run") == old


def test_damaged_newest_checkpoint_and_settings_do_not_block_a_run(finished, config, tmp_path):
    workdir, whole = finished
    shutil.copytree(workdir, tmp_path / "run")
    for path in (tmp_path / "run/checkpoints/12/state").rglob("d/*"):
        path.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match=r"checkpoints/12 cannot be read"):
        models.from_pretrained(tmp_path / "run", step="last")
    settings = (tmp_path / "run/config.json").read_text()
    (tmp_path / "run/config.json").write_text("")
    with (
        pytest.warns(UserWarning, match=r"(12 cannot be read|is now .*damaged-12)"),
        pytest.warns(UserWarning, match="config.json .*is written anew from this command's"),
    ):
        assert_identical(train_and_evaluate(config, tmp_path / "run"), whole)
    assert (tmp_path / "run/config.json").read_text() == settings
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
    workdir, whole = finished
    shutil.copytree(workdir, tmp_path / "run")
    assert_identical(train_and_evaluate(config, tmp_path / "run"), whole)
    for name in ("metrics.jsonl", "config.json", "model.json", "sessions.json"):
        assert (tmp_path / "run" / name).read_bytes() == (workdir / name).read_bytes()


@pytest.mark.slow
def test_run_goes_on_with_another_number_of_devices(finished, config, tmp_path):
    workdir, whole = finished
    shutil.copytree(workdir, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/12")
    state = train_and_evaluate(changed(config, num_devices=4), tmp_path / "run")
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4),
        state.params,
        whole.params,
    )


def test_other_settings_in_the_same_workdir_are_refused(finished, config):
    other = changed(config, **{"model.kernel_size": 7, "batch_size": 2, "log_every": 1})
    with pytest.raises(
        UserError,
        match=r"holds another run \(batch_size is 2, was 4; model.kernel_size is 7, was 5",
    ):
        train_and_evaluate(other, finished[0])


@pytest.mark.parametrize("name", {module: name for name, (module, _) in MODELS.items()}.values())
def test_settings_that_are_younger_than_a_run_had_their_defaults(name, tmp_path):
    """Those of its own kind of network, too, all of which are missing here."""
    config = default_config()
    config.model = model_settings(name)
    settings = json.loads(config.to_json()) | {"model": {"name": name}}
    del settings["augment"]["rotation"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    check_same_run(config, tmp_path)
    config.update_from_flattened_dict({"augment.rotation": 10.0, "model.dtype": "bfloat16"})
    differing = "augment.rotation is 10.0, was 0.0; model.dtype is bfloat16, was float32"
    with pytest.raises(UserError, match=rf"another run \({differing}\)"):
        check_same_run(config, tmp_path)


@pytest.mark.slow
def test_new_run_starts_from_the_best_of_another(finished, config, tmp_path, capsys):
    """One step at a rate of nothing leaves parameters and frozen statistics as they started."""
    stage1 = tmp_path / "stage1"
    shutil.copytree(finished[0], stage1)
    info = json.loads((stage1 / "model.json").read_text()) | {"mean": [100, 110, 120]}
    (stage1 / "model.json").write_text(json.dumps(info))
    _, expected = models.from_pretrained(stage1)
    settings = {"init_from": str(stage1), "backbone_weights": "unused.pth", "num_devices": 2}
    settings |= {"num_steps": 1, "optimizer.learning_rate": 1e-30}
    stage2 = changed(config, **settings, **{"model.frozen_batch_norm": True})
    stage2.init_except = ("gcn5", "refine5")
    state = train_and_evaluate(stage2, tmp_path / "stage2")
    out = capsys.readouterr().out
    assert f"training {tmp_path / 'stage2'} from {stage1}, except gcn5, refine5: _tiny" in out
    assert int(state.step) == 1
    taken = {name: v for name, v in expected["params"].items() if name not in stage2.init_except}
    assert_identical({name: state.params[name] for name in taken}, taken)
    assert_identical(state.batch_stats, expected["batch_stats"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        state.ema,
        {"params": state.params, "batch_stats": state.batch_stats},
    )
    assert models.read_info(tmp_path / "stage2").mean == (100, 110, 120)
    # Its own checkpoint comes first now: what it started from is not needed any more.
    shutil.rmtree(stage1)
    assert_identical(train_and_evaluate(stage2, tmp_path / "stage2"), state)
    assert f"resuming {tmp_path / 'stage2'} after step 1: _tiny" in capsys.readouterr().out


def test_start_that_does_not_fit_lists_the_leaves(finished, config):
    other = changed(config, init_from=str(finished[0]))
    shapes = variable_shapes(models.create_model("_tiny", num_classes=3, kernel_size=7))
    message = (
        r"does not fit this network, 16 leaves differ: "
        r"params/gcn2/left_1k/kernel: \(1, 7, 3, 3\) here, \(1, 5, 3, 3\) there; .*; "
        r"and 8 more\. To start these layers from the seed: "
        r"--config.init_except='\(\"gcn2\", \"gcn3\", \"gcn4\", \"gcn5\"\)'$"
    )
    with pytest.raises(UserError, match=message):
        start_variables(other, None, shapes)
    shapes = variable_shapes(
        models.create_model("_tiny", num_classes=3, kernel_size=5, upsampling="bilinear")
    )
    with pytest.raises(UserError, match=r"deconv\d/kernel: none here, \(4, 4, 3, 3\) there"):
        start_variables(other, None, shapes)


def test_start_that_is_not_there_is_refused_before_anything_is_written(config, tmp_path):
    with pytest.raises(UserError, match="nowhere is not the workdir of a training run"):
        train_and_evaluate(changed(config, init_from=str(tmp_path / "nowhere")), tmp_path / "run")
    weights = tmp_path / "resnet50.pth"
    with pytest.raises(UserError, match=r"resnet50.pth: no published weights of _tiny"):
        train_and_evaluate(changed(config, backbone_weights=str(weights)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_non_finite_loss_names_step_and_last_good_checkpoint(config, tmp_path):
    """The fifth update ruins the parameters: checkpoint 5 is bad, though its loss was finite."""
    ruin = {"optimizer.schedule": "step", "optimizer.step_boundaries": (4,)}
    ruin |= {"optimizer.step_factor": 1e20, "checkpoint_every": 1, "log_every": 3}
    with (
        pytest.warns(UserWarning, match="diverged-5"),
        pytest.raises(UserError, match=r"the loss is (nan|inf) at step 6; .*checkpoints/4\. Lower"),
    ):
        train_and_evaluate(changed(config, **ruin), tmp_path / "run")
    assert max(kept_steps(tmp_path / "run")) == 4
    assert (tmp_path / "run/diverged-5").is_dir()
    cured = changed(config, **{**ruin, "optimizer.step_factor": 0.1, "num_steps": 6})
    assert int(train_and_evaluate(cured, tmp_path / "run").step) == 6


@pytest.mark.parametrize(
    ("names", "change"),
    [
        (("background", "square"), "disc new"),
        (("background", "disc", "square"), "in another order"),
        (("background", "square", "circle"), "disc new; circle gone"),
    ],
)
def test_run_on_other_classes_says_how_to_go_on(config, tmp_path, names, change):
    palette = INFO.palette[: len(names)]
    fields = {"num_classes": len(names)}
    write_info(
        tmp_path, dataclasses.replace(INFO, fields=fields, class_names=names, palette=palette)
    )
    message = rf"trained for {len(names)} classes, and folder:train has 3 \({change}\); .*"
    with pytest.raises(UserError, match=f"{message}--config.init_from={tmp_path}"):
        train_and_evaluate(config, tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_run_on_changed_data_is_refused(finished, config, tmp_path, monkeypatch):
    open_training_source = data.open_training_source
    monkeypatch.setattr(
        data, "open_training_source", lambda *args: Fewer(open_training_source(*args))
    )
    with pytest.raises(UserError, match="folder:train has 11 images now, and had 12"):
        train_and_evaluate(config, finished[0])


class Fewer:
    """A source without its last example."""

    def __init__(self, source):
        self._source = source

    def __len__(self):
        return len(self._source) - 1

    def __getattr__(self, name):
        return getattr(self._source, name)

    def __getitem__(self, index):
        return self._source[index]


@pytest.mark.parametrize(
    ("key", "value"),
    [("batch_size", 0), ("eval_batch_size", 0), ("log_every", 0), ("num_steps", 0),
     ("optimizer.learning_rate", -1.0), ("optimizer.ema_decay", 1.0)],
)  # fmt: skip
def test_numbers_outside_their_range_are_refused(config, tmp_path, key, value):
    with pytest.raises(UserError, match=f"{key}={value}: must be"):
        train_and_evaluate(changed(config, **{key: value}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_batch_that_does_not_divide_is_refused(config, tmp_path):
    with pytest.raises(UserError, match="batch_size 4 does not divide .* over 8 devices"):
        train_and_evaluate(changed(config, num_devices=8), tmp_path / "run")
    with pytest.raises(UserError, match="num_devices is 9; there are 8 devices"):
        train_and_evaluate(changed(config, num_devices=9), tmp_path / "run")


@pytest.mark.slow
def test_accumulation_over_devices_runs(config, tmp_path):
    parts = changed(
        config,
        **{"optimizer.accumulate": 2, "num_devices": 2, "num_steps": 2, "optimizer.ema_decay": 0.0},
    )
    state = train_and_evaluate(parts, tmp_path / "run")
    assert int(state.step) == 2
    assert state.ema is None


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_folder_that_is_no_workdir(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"is not the workdir of a training run"):
        models.from_pretrained(tmp_path / name)


def test_unknown_step_of_a_workdir(finished):
    with pytest.raises(UserError, match=r"has no checkpoint of step 3; it has \["):
        models.from_pretrained(finished[0], step=3)
