"""Trackers: each step once, whatever they do; the real ones without a network."""

import json
import re
import sys
import tempfile
import threading

import pytest

from gcn_jax.errors import UserError
from gcn_jax.training import trackers
from gcn_jax.training.config import default_config, json_settings
from gcn_jax.training.config_checks import CHECKS
from gcn_jax.training.metrics_log import MetricWriter
from gcn_jax.workdir import Workdir

SETTINGS = {"seed": 3, "data.train": ["shapes:train"], "data.manual_dir": None}
#: A key of W&B's form, which must not end in the workdir.
SECRET = "0123456789" * 4


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(trackers, "_PATIENCE", 300.0)  # on a busy machine


@pytest.fixture
def fake(monkeypatch):
    """A tracker in memory, in the place of one that may not be installed."""

    class Fake:
        made, lines, finished = [], [], 0

        def __init__(self, run):
            self.key = run.key
            self.made.append(run)

        def log(self, step, scalars):
            self.lines.append((step, scalars))

        def finish(self):
            type(self).finished += 1

    monkeypatch.setattr(trackers, "TRACKERS", {"wandb": Fake})
    return Fake


def write(workdir, steps, *, first_step=0, names=("wandb",)):
    """Write the metrics of steps, as a run that begins or goes on does."""
    with MetricWriter(workdir, first_step, names, SETTINGS) as writer:
        for step in steps:
            writer.write(step, {"train/loss": 1 / step, "val/miou": float("nan")})


def test_a_run_that_goes_on_is_the_same_one_and_repeats_no_step(tmp_path, fake):
    write(tmp_path / "a run", [1, 2, 3])
    write(tmp_path / "a run", [3, 4], first_step=2)  # step 3 was not in the last checkpoint
    assert fake.lines == [(step, {"train/loss": 1 / step}) for step in (1, 2, 3, 4)]
    first, second = fake.made
    assert (first.key, first.name, first.settings) == (second.key, "a run", SETTINGS)
    assert (first.is_new, second.is_new) == (True, False)
    assert fake.finished == 2
    assert [line["step"] for line in Workdir(tmp_path / "a run").read_metrics()] == [1, 2, 3, 4]


def test_a_tracker_that_comes_later_gets_what_was_before(tmp_path, fake):
    write(tmp_path, [1, 2], names=())
    assert not list(tmp_path.glob("*tfevents*"))
    write(tmp_path, [3], first_step=2)
    assert [step for step, _ in fake.lines] == [1, 2, 3]


def test_a_failure_is_one_warning_without_a_password_and_is_made_up_for(
    tmp_path, fake, monkeypatch
):
    failed = threading.Event()

    def connect(run):
        failed.set()
        raise OSError("no route to https://me:secret@host/api\nand more")

    monkeypatch.setattr(trackers, "TRACKERS", {"wandb": connect})
    words = r"wandb gets no more metrics of this run: no route to https://host/api; metrics\.jsonl"
    with pytest.warns(UserWarning, match=words) as caught:
        write(tmp_path, [1, 2, 3])
    assert failed.is_set()
    assert len(caught) == 1
    assert len(Workdir(tmp_path).read_metrics()) == 3
    monkeypatch.setattr(trackers, "TRACKERS", {"wandb": fake})
    write(tmp_path, [4], first_step=3)
    assert [step for step, _ in fake.lines] == [1, 2, 3, 4]


def test_nobody_waits_for_a_tracker_that_does_not_answer(tmp_path, fake, monkeypatch):
    answer, ended = threading.Event(), threading.Event()

    class Slow(fake):
        def __init__(self, run):
            answer.wait()
            super().__init__(run)
            ended.set()

    monkeypatch.setattr(trackers, "TRACKERS", {"wandb": Slow})
    monkeypatch.setattr(trackers, "_PATIENCE", 0.1)
    with pytest.warns(UserWarning, match=r"no answer for 0 s"):
        write(tmp_path, [1, 2])
    assert len(Workdir(tmp_path).read_metrics()) == 2
    answer.set()  # too late: another process may go on with the run
    assert ended.wait(60)
    assert fake.lines == []


def test_settings_name_what_there_is_and_what_is_installed(monkeypatch):
    check = CHECKS["trackers"]
    assert check.holds(default_config().trackers)
    assert check.holds(("tensorboard", "wandb", "mlflow", "trackio"))
    assert not check.holds(("tensorbored",))
    assert not check.holds("wandb")
    assert "trackers" in json_settings(default_config())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    trackers.check_installed(("tensorboard",))
    with pytest.raises(UserError, match=r"pip install 'gcn-jax\[mlflow\]'"):
        trackers.check_installed(("tensorboard", "mlflow"))


def test_mlflow_in_a_file(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="pip install 'gcn-jax[mlflow]'")
    pytest.importorskip("sqlalchemy", reason="a store of MLflow's in a file needs SQLAlchemy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    write(tmp_path / "run", [1, 2, 3], names=("mlflow",))
    write(tmp_path / "run", [3, 4], first_step=2, names=("mlflow",))
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("gcn_jax")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params["data.train"] == "['shapes:train']"
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(metric.step, metric.value) for metric in history] == [
        (step, 1 / step) for step in (1, 2, 3, 4)
    ]


def test_trackio_on_this_machine(tmp_path, monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, module)  # it looks at its folder when it is imported
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio", reason="pip install 'gcn-jax[trackio]'")
    storage = pytest.importorskip("trackio.sqlite_storage").SQLiteStorage
    write(tmp_path / "run", [1, 2, 3], names=("trackio",))
    write(tmp_path / "run", [3, 4], first_step=2, names=("trackio",))
    (run,) = trackio.Api().runs("gcn_jax")
    assert run.name.startswith("run-")
    logs = storage.get_logs("gcn_jax", run.name)
    assert [(log["step"], log["train/loss"]) for log in logs] == [
        (step, 1 / step) for step in (1, 2, 3, 4)
    ]


def test_wandb_without_a_network(tmp_path, monkeypatch):
    # It keeps files there till the process ends, which the session takes for what a test left.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pytest.importorskip("wandb", reason="pip install 'gcn-jax[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    write(tmp_path / "run", [1, 2, 3], names=("wandb",))
    write(tmp_path / "run", [3, 4], first_step=2, names=("wandb",))
    key, step = Workdir(tmp_path / "run").read_tracker("wandb")
    assert step == 4
    folders = [*(tmp_path / "run/wandb").glob("offline-run-*")]
    assert len(folders) == 2  # `wandb sync` makes them one run, by its id
    # wandb adds "-1" to the second of two that begin in one second.
    assert all(re.fullmatch(rf"offline-run-\d+_\d+-{key}(-1)?", f.name) for f in folders)
    content = b"".join(path.read_bytes() for path in folders[0].glob("*.wandb"))
    assert b"train/loss" in content
    assert b"data.train" in content
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()
    assert json.loads((tmp_path / "run/trackers.json").read_text()).keys() == {"wandb"}
