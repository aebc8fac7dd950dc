"""Early stopping, counted in evaluations."""

import math

import pytest

from gcn_jax.training import train_and_evaluate
from gcn_jax.training.validation import evaluations_without_progress
from gcn_jax.workdir import Workdir
from tests.helpers.runs import changed


@pytest.mark.parametrize(
    ("mious", "count"),
    [([], 0), ([0.1], 0), ([0.1, 0.2], 0), ([0.2, 0.2, 0.1], 2), ([math.nan, 0.1, None], 1)],
)
def test_evaluations_without_progress_are_counted(mious, count):
    assert evaluations_without_progress(mious) == count


@pytest.mark.slow
def test_a_run_without_progress_ends_and_stays_ended(config, tmp_path, capsys):
    still = changed(config, eval_every=1, num_steps=12, patience=2)
    still = changed(still, **{"optimizer.learning_rate": 1e-30})
    for _ in range(2):
        state = train_and_evaluate(still, tmp_path / "run")
        assert int(state.step) < 12
        assert "evaluations without a better val mIoU" in capsys.readouterr().out
    lines = Workdir(tmp_path / "run").read_metrics()
    scores = [line["val/miou"] for line in lines if "val/miou" in line]
    assert evaluations_without_progress(scores) == 2
