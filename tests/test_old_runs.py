"""A run that older code began goes on, is scored and is loaded as that code did it.

tests/fixtures/old_run/run.tar.gz was made at commit ccaf6ff, before the rooms were built, with
Python 3.11 and jax 0.10.2: `train.py --config settings.py`, stopped by SIGTERM in step 4 of 10, and
`evaluate.py --step last`. It holds the run as it was left (`run/`, without
TensorBoard's events), its images (`data/`), and what that code made of it (`expected/`): scores and
variables half-way and at the end, and the metrics of all steps. With one host device, that jax and
that processor the code of the new rooms gave the same bits; elsewhere sums are rounded otherwise.
"""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from gcn_jax import models
from tests.helpers.verbs import ROOT, run

FIXTURE = ROOT / "tests/fixtures/old_run"
DATA = ("data_dir=prepared", "manual_dir=data")


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    """The folder of the user whose run it is."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(FIXTURE / "run.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def resumed(old) -> str:
    """What the same command prints as it goes on, in a copy named `end`."""
    shutil.copytree(old / "run", old / "end")
    settings = [f"--config.data.{setting}" for setting in DATA]
    command = ["--config", FIXTURE / "settings.py", "--workdir", "end", *settings]
    return run("train.py", *command, cwd=old)[0]


def test_the_same_command_goes_on_to_the_same_end(old, resumed):
    assert "resuming end after step 4: _tiny, 4,628 parameters" in resumed
    now, then = (
        [json.loads(line) for line in (old / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("end", "expected")
    )
    assert [line["step"] for line in now] == [line["step"] for line in then] == [2, 4, 6, 8, 10]
    for name in ("train/loss", "learning_rate", "val/miou", "val/pixel_accuracy"):
        values = [[line[name] for line in lines if name in line] for lines in (now, then)]
        np.testing.assert_allclose(*values, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.* has no digests, as those of older versions:UserWarning")
@pytest.mark.parametrize(("workdir", "expected"), [("run", "half"), ("end", "end")])
def test_its_variables_and_scores_are_those_of_then(old, resumed, workdir, expected):
    pretrained = models.load_pretrained(old / workdir, step="last")
    variables = {name: pretrained.variables[name] for name in ("params", "batch_stats")}
    variables = flatten_dict(variables, sep="/")
    with np.load(old / "expected" / f"{expected}.npz") as then:
        assert set(then) == set(variables)
        for name in then:
            np.testing.assert_allclose(variables[name], then[name], rtol=1e-5, atol=1e-6)
    folders = [f"--{setting}" for setting in DATA]
    output = ("--step", "last", "--json", f"{workdir}.json")
    run("evaluate.py", "--ckpt", workdir, *folders, *output, cwd=old)
    now = json.loads((old / f"{workdir}.json").read_text())
    then = json.loads((old / "expected" / f"{expected}.json").read_text())
    now["settings"]["checkpoint"] = "run"
    del then["intervals"]  # of three images there is none any more
    images = zip(now["images"], then["images"], strict=True)
    now["images"] = [{key: image[key] for key in before} for image, before in images]
    assert {key: now[key] for key in then} == then
