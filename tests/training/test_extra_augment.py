"""Runs with every augmentation that there is: stopped, moved, and with a function that changed."""

import json

import pytest

from gcn_jax.errors import UserError
from gcn_jax.training import preflight, train_and_evaluate
from tests.helpers.runs import assert_identical, changed

FUNCTION = """
import numpy as np

def extra(image, label, rng):
    return image + rng.integers(0, 9, image.shape, dtype=np.uint8), label
"""


@pytest.fixture
def augmented(config, tmp_path, monkeypatch):
    """A config of two steps whose function is named from the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FUNCTION)
    settings = {"extra": "mine.py:extra", "vertical_flip": True, "quarter_turns": True}
    settings |= {"rotation": 10.0, "blur": True}
    config = changed(config, **{f"augment.{key}": value for key, value in settings.items()})
    config.num_steps = config.log_every = config.eval_every = config.checkpoint_every = 2
    config.optimizer.schedule = "constant"
    return config


@pytest.mark.slow
def test_resumed_run_is_that_which_was_not_stopped_and_a_changed_file_is_said(
    augmented, tmp_path, monkeypatch, recwarn
):
    four = changed(augmented, num_steps=4)
    whole = train_and_evaluate(four, tmp_path / "whole")
    train_and_evaluate(augmented, tmp_path / "run")
    settings = json.loads((tmp_path / "run/config.json").read_text())
    assert settings["augment"]["extra"] == f"{tmp_path / 'mine.py'}:extra"

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"elsewhere/mine.py: No such file"):
        train_and_evaluate(four, tmp_path / "run")
    (tmp_path / "mine.py").rename("mine.py")  # the file may move
    assert_identical(train_and_evaluate(four, tmp_path / "run"), whole)
    assert not [w for w in recwarn if "augment.extra" in str(w.message)]

    (tmp_path / "elsewhere/mine.py").write_text(FUNCTION.replace("9", "8"))
    six = changed(augmented, num_steps=6)
    with pytest.warns(UserWarning, match=r"mine.py:extra has changed since step 4 of .*run was"):
        train_and_evaluate(six, tmp_path / "run")


def test_another_function_is_another_run(augmented, tmp_path):
    train_and_evaluate(augmented, tmp_path / "run")
    for extra in (None, "mine.py:other", "other.py:extra"):
        with pytest.raises(UserError, match=r"holds another run \(augment.extra is "):
            train_and_evaluate(changed(augmented, **{"augment.extra": extra}), tmp_path / "run")


def test_dry_run_loads_the_function(augmented, tmp_path):
    assert preflight.missing(augmented, tmp_path / "run") == []
    (tmp_path / "mine.py").write_text("extra = 3")
    (need,) = preflight.missing(augmented, tmp_path / "run")
    assert need.what == "augment.extra"
    assert "has no function 'extra'" in str(need.problem)
