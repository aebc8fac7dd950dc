"""Runs on features that are kept end as runs that compute them at every step."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from safetensors.numpy import save

from gcn_jax import data, evaluation, inference, models
from gcn_jax.errors import UserError
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.training import crops, features, run, run_data, train_and_evaluate
from gcn_jax.training.config import check_config, model_settings
from gcn_jax.training.devices import make_mesh
from gcn_jax.training.features import Features
from gcn_jax.training.state import TrainState
from gcn_jax.training.step import make_train_step
from gcn_jax.workdir import Workdir
from tests.helpers.random_values import random_variables
from tests.helpers.runs import assert_identical, changed, timeless


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of all features, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/gcn_jax/features"


@pytest.fixture(scope="module")
def kept(config):
    """The settings of a run of four steps that keeps features, on twelve images and five."""
    config = config.copy_and_resolve_references().unlock()
    config.model = model_settings("linear_plain4")
    config.augment.update(crop_size=None, scale=None, jitter=0.0)
    config.update(num_steps=4, log_every=2, eval_every=4, checkpoint_every=2, eval_train_images=0)
    config.trackers = ()
    config.data.cache_features = True
    return config.lock()


def close(left, right, atol):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=atol), left, right)


def run_of(config, workdir):
    """Return the variables of a run, and its losses and its score."""
    state = train_and_evaluate(config, workdir)
    lines = Workdir(workdir).read_metrics()
    return state.variables, [*(line["train/loss"] for line in lines), lines[-1]["val/miou"]]


def examples(count, height=30, width=45):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, height, width, 3)).astype(np.uint8)


def features_of(model, factor=1.0, **how):
    variables = {"batch_stats": {}, **random_variables(model)}
    variables["params"] = jax.tree.map(lambda leaf: leaf * np.float32(factor), variables["params"])
    return Features(model, variables, IMAGENET_MEAN, IMAGENET_STD, **how), variables


def test_a_step_on_features_is_the_step_on_images():
    model, images = models.Linear(num_classes=3, backbone="plain4"), examples(4)
    batch = {"image": images, "label": images[..., 0] % 3}
    features, variables = features_of(model, dtype=np.float32)
    half, _ = features_of(model)
    tx = optax.sgd(0.1)
    state = TrainState(np.int32(0), **variables, opt_state=tx.init(variables["params"]))
    step = make_train_step(model, tx, mean=IMAGENET_MEAN, std=IMAGENET_STD, seed=0)
    step = jax.jit(step)
    expected = step(state, batch)
    close(step(state, batch | features.of(images)), expected, 1e-5)
    close(step(state, batch | half.of(images)), expected, 2e-3)
    assert features.num_computed == half.num_computed == 4
    assert {array.dtype.name for array in half.of(images).values()} == {"float16"}
    blank = batch | features.of(images) | {"image": np.zeros_like(images)}
    assert_identical(step(state, blank), step(state, batch | features.of(images)))


@pytest.mark.slow
def test_a_run_ends_as_without_kept_features(kept, tmp_path, cache, monkeypatch, capsys):
    at_each_step = changed(kept, **{"data.cache_features": False, "augment.crop_size": (38, 45)})
    variables, metrics = run_of(at_each_step, tmp_path / "each")
    assert not cache.exists()
    half_variables, half_metrics = run_of(kept, tmp_path / "half")
    close(half_variables, variables, 1e-3)
    close(half_metrics, metrics, 1e-2)
    (folder,) = cache.iterdir()
    count = 2 * 12 + 5
    said = rf"features of 17 images, .* mirrored: {count} computed in \d+ s, kept in {folder}, 0.0"
    assert re.search(said, capsys.readouterr().out)
    assert len(list(folder.iterdir())) == count

    # An ordinary checkpoint, which scores what was logged.
    trained = models.load_pretrained(tmp_path / "half", step="last")
    source = run_data.open_run_data(tmp_path / "half")
    scores = evaluation.evaluate(inference.Predictor(trained, batch_size=4), source).scores
    np.testing.assert_allclose(scores.miou, half_metrics[-1], atol=1e-2)
    assert models.predict(trained.model, trained.variables, examples(1)[0]).shape == (30, 45)

    # Another run on the same backbone, which was stopped: nothing is computed again.
    shutil.copytree(tmp_path / "half", tmp_path / "stopped")
    shutil.rmtree(tmp_path / "stopped/checkpoints/4")
    assert_identical(run_of(kept, tmp_path / "stopped")[0], half_variables)
    assert timeless(tmp_path / "stopped") == timeless(tmp_path / "half")
    assert "mirrored: 0 computed in" in capsys.readouterr().out

    monkeypatch.setattr(run, "Features", partial(Features, dtype=np.float32))
    exact_variables, exact_metrics = run_of(kept, tmp_path / "exact")
    close(exact_variables, variables, 1e-5)
    close(exact_metrics, metrics, 1e-5)


def test_other_weights_images_and_preparation_have_files_of_their_own():
    model = models.Linear(num_classes=3, backbone="_dinov2")
    (image,) = examples(1, 14, 28)
    first, variables = features_of(model)
    first.of(image[None])
    assert list(first.folder.iterdir())
    same, _ = features_of(model.clone(num_classes=5, remat=True))
    assert same.folder == first.folder
    others = [
        features_of(model, factor=1.001)[0],
        features_of(model, dtype=np.float32)[0],
        features_of(model.clone(dtype=jax.numpy.bfloat16))[0],
        features_of(model.clone(backbone="_tiny"))[0],
        Features(model, variables, (0.0, 0.0, 0.0), IMAGENET_STD),
        Features(model, variables, IMAGENET_MEAN, (1.0, 1.0, 1.0)),
    ]
    assert len({first.folder, *(other.folder for other in others)}) == 1 + len(others)
    again, _ = features_of(model)
    changed_image = image.copy()
    changed_image[3, 5, 0] ^= 1
    again.of(np.stack([image, image[:, ::-1], image, changed_image]))
    assert again.num_computed == 2
    again.of(image.reshape(1, 28, 14, 3))  # the same bytes
    assert again.num_computed == 3


@pytest.mark.parametrize("damage", ["bits", "cut", "empty", "others"])
def test_a_damaged_file_is_computed_anew(damage):
    images = examples(2, 14, 28)
    features, _ = features_of(models.Linear(num_classes=3, backbone="_dinov2"))
    expected = features.of(images[:1])
    (path,) = features.folder.iterdir()
    content = path.read_bytes()
    if damage == "bits":
        path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    elif damage == "others":
        path.write_bytes(save({"res4": expected["res5"]}))
    else:
        path.write_bytes(content[: -9 if damage == "cut" else 0])
    with pytest.warns(UserWarning, match=r"safetensors is damaged \(.*\); it is computed anew"):
        assert_identical(features.of(images[:1]), expected)
    assert path.read_bytes() == content
    assert features.num_computed == 2


def test_processes_that_compute_the_same_do_not_collide(tmp_path):
    script = """
import numpy as np
from gcn_jax import models
from gcn_jax.training.features import Features
from tests.helpers.random_values import random_variables
model = models.Linear(num_classes=3, backbone="_dinov2")
features = Features(model, random_variables(model), (0, 0, 0), (1, 1, 1))
images = np.random.default_rng(0).integers(0, 256, (60, 14, 28, 3)).astype(np.uint8)
for image in images:
    features.keep(image)
print(features.folder, features.of(images)["res5"].astype(float).sum())
"""
    commands = [[sys.executable, "-W", "error", "-c", script]] * 2
    started = [subprocess.Popen(c, stdout=subprocess.PIPE, text=True) for c in commands]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert said[0] == said[1]
    folder = Path(said[0].split()[0])
    assert len(list(folder.iterdir())) == 60


def test_features_of_other_backbones_go_where_all_are_too_large(monkeypatch, cache):
    for age, name in enumerate(("own", "new", "old")):
        (cache / name).mkdir(parents=True)
        (cache / name / "a.safetensors").write_bytes(bytes(100))
        os.utime(cache / name, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(features, "MOST_BYTES", 250)
    assert features._tidy(cache / "own") == 100
    assert {path.name for path in cache.iterdir()} == {"own", "new"}


def test_features_that_no_float16_holds_are_refused():
    model = models.Linear(num_classes=3, backbone="plain4")
    features, variables = features_of(model)
    variables["params"]["backbone"]["bn5"]["scale"] *= 1e6
    features = Features(model, variables, IMAGENET_MEAN, IMAGENET_STD)
    with pytest.raises(UserError, match=r"cache_features: .* too large for float16"):
        features.of(examples(1))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"augment.scale": (0.5, 2.0)}, r"set --config\.augment\.scale=None, or it to False"),
        (
            {"augment.jitter": 0.1, "augment.blur": True},
            r"set --config\.augment\.blur=False --config\.augment\.jitter=0\.0, or",
        ),
        ({"model.frozen_backbone": False}, "linear_plain4 trains its backbone"),
    ],
)
def test_what_changes_features_at_every_step_is_refused(kept, settings, problem):
    with pytest.raises(UserError, match=problem):
        check_config(changed(kept, **settings))


def test_networks_whose_backbone_learns_are_refused(config):
    config = changed(config, **{"data.cache_features": True, "augment.jitter": 0.0})
    with pytest.raises(UserError, match="_tiny trains its backbone"):
        check_config(config)


def test_several_processes_are_refused(kept, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UserError, match=r"cache_features is for runs of one process"):
        make_mesh(kept)


def test_images_are_seen_whole_or_refused(kept, tmp_path, monkeypatch):
    source = data.open_training_source(kept.data.train, kept.data)
    mixed = data.open_training_source(("folder:train", "folder:val*2"), {**kept.data, "val": None})
    for train in (source, mixed):
        assert crops.with_crop_size(kept, tmp_path, train).augment.crop_size == (38, 45)
    larger = changed(kept, **{"augment.crop_size": (64, 64)})
    assert crops.with_crop_size(larger, tmp_path, source).augment.crop_size == (64, 64)
    smaller = changed(kept, **{"augment.crop_size": (64, 44)})
    with pytest.raises(
        UserError, match=r"38 pixels high and 45 wide, .* 64 x 44 .*_size=\"\(38, 45"
    ):
        crops.with_crop_size(smaller, tmp_path, source)
    monkeypatch.setattr(crops, "MOST_WHOLE_PIXELS", 40**2)
    with pytest.raises(UserError, match=r"38 pixels high and 45 wide, and 40 x 40 are the most"):
        crops.with_crop_size(kept, tmp_path, source)
