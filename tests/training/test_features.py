"""Runs on features that are kept end as runs that compute them at every step."""

import re
import shutil
import subprocess
import sys
from functools import partial

import jax
import numpy as np
import pytest

from gcn_jax import data, evaluation, inference, models
from gcn_jax.errors import UserError
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.training import crops, features, run, train_and_evaluate
from gcn_jax.training.config import check_config, model_settings
from gcn_jax.training.devices import make_mesh
from gcn_jax.training.features import Features
from gcn_jax.workdir import Workdir
from tests.helpers.random_values import random_variables
from tests.helpers.runs import assert_identical, changed, timeless

#: Networks by name, and their backbones: with batch-norm, and with tokens.
NETWORKS = {"linear_plain4": "plain4", "_tiny": "_dinov2"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of all features, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/gcn_jax/features"


def config_of(config, name="linear_plain4", **settings):
    """Return a run of six steps that keeps features, on twelve images and five."""
    config = config.copy_and_resolve_references().unlock()
    config.model = model_settings(name)
    config.model.update(backbone=NETWORKS[name], frozen_backbone=True)
    config.augment.update(crop_size=None, scale=None, jitter=0.0, flip=True)
    config.update(num_steps=6, log_every=3, eval_every=3, checkpoint_every=2)
    config.data.cache_features = True
    return changed(config, **settings)


def close(left, right, atol):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=atol), left, right)


def run_of(config, workdir):
    """Return the variables of a run, and its losses and scores."""
    state = train_and_evaluate(config, workdir)
    names = ("train/loss", "val/miou")
    lines = Workdir(workdir).read_metrics()
    return state.variables, [line[name] for line in lines for name in names]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_run_ends_as_without_kept_features(config, tmp_path, monkeypatch, name):
    config = config_of(config, name)
    at_each_step = changed(config, **{"data.cache_features": False, "augment.crop_size": (38, 45)})
    variables, metrics = run_of(at_each_step, tmp_path / "each")
    moved = run.start_of = None
    del moved
    half_variables, half_metrics = run_of(config, tmp_path / "half")
    close(half_variables, variables, 2e-3)
    close(half_metrics, metrics, 2e-2)
    monkeypatch.setattr(run, "Features", partial(Features, dtype=np.float32))
    exact_variables, exact_metrics = run_of(config, tmp_path / "exact")
    close(exact_variables, variables, 1e-5)
    close(exact_metrics, metrics, 1e-5)


def test_each_image_is_computed_once(config, tmp_path, cache, capsys):
    config = config_of(config)
    train_and_evaluate(config, tmp_path / "first")
    (folder,) = cache.iterdir()
    count = 2 * 12 + 5
    assert len(list(folder.iterdir())) == count
    said = rf"features of 17 images, .* mirrored: {count} computed in \d+ s, kept in {folder}, 0.0"
    assert re.search(said, capsys.readouterr().out)
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    train_and_evaluate(changed(config, seed=1), tmp_path / "second")
    assert "mirrored: 0 computed" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == written
