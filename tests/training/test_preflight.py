"""All that a run needs is looked at before it begins, and all that is missing is said at once."""

import re

import pytest

from gcn_jax.training import preflight
from tests.helpers.runs import changed


def said(config, workdir):
    return [(need.what, str(need.problem)) for need in preflight.missing(config, workdir)]


def test_a_run_that_has_all_needs_nothing_and_writes_nothing(config, tmp_path):
    assert said(config, tmp_path / "run") == []
    preflight.check_disk(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_everything_that_is_missing_is_said_at_once(config, tmp_path):
    without = changed(
        config,
        **{"data.train": ("folder:train*2", "coco_voc:train"), "data.val": "folder:holdout"},
        init_from=str(tmp_path / "stage1"),
    )
    needs = said(without, tmp_path / "run")
    assert [what for what, _ in needs] == [
        "data.train coco_voc:train",
        "data.val folder:holdout",
        "init_from",
    ]
    assert "holds no annotations/instances_train2014.json" in needs[0][1]
    assert "folder has no split 'holdout'; it has train, val" in needs[1][1]
    assert "stage1 is not the workdir of a training run" in needs[2][1]


@pytest.mark.parametrize(
    ("settings", "what", "problem"),
    [
        ({"num_steps": 0, "seed": -1}, "settings", "seed=-1: must be .*num_steps=0"),
        ({"num_devices": 1000}, "devices", "num_devices is 1000"),
        ({"backbone_weights": "none.pth"}, "backbone_weights", "none.pth: no such file"),
        ({"data.val": "folder:train"}, "data.train and data.val", "holds 12 of the 12 images"),
    ],
)
def test_what_does_not_fit_is_said(config, tmp_path, settings, what, problem):
    ((found, text),) = said(changed(config, **settings), tmp_path / "run")
    assert found == what
    assert re.search(problem, text, re.DOTALL)


def test_a_run_that_goes_on_needs_no_start(finished, config):
    workdir, _ = finished
    assert said(config, workdir) == []
    needs = said(changed(config, seed=5), workdir)
    assert [what for what, _ in needs] == ["workdir"]
