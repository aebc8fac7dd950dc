"""Experiment trackers: where people look at their runs. `metrics.jsonl` is what they are sent from.

Each runs in a thread of its own: whether it answers, or fails, is nothing to the training. To add
one: a class like `_Trackio`, its line in `TRACKERS`, and its extra.
"""

import importlib.util
import os
import queue
import re
import secrets
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gcn_jax import extras
from gcn_jax.workdir import Workdir

#: What a project, or an experiment, is called where the environment does not name one.
_PROJECT = "gcn_jax"
#: Seconds that a run waits at its end for a tracker to take what it was sent.
_PATIENCE = 30.0
#: Parameters that MLflow takes at once.
_MLFLOW_BATCH = 100


class Run(NamedTuple):
    """A run as a tracker knows it.

    Attributes:
        key: What finds it again: the tracker's own, or one that we made.
        is_new: Whether the tracker has not seen it before.
        name: What people call it.
        settings: Its settings by dotted name.
        folder: Its workdir.
    """

    key: str
    is_new: bool
    name: str
    settings: Mapping[str, Any]
    folder: Path


class Tracker(Protocol):
    """A place where the metrics of one run go; all methods may fail, and take their time.

    Attributes:
        key: What finds the run again.
    """

    key: str

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Take the scalars of a step.

        Args:
            step: Its number, larger than those before.
            scalars: Finite values by their names.
        """

    def finish(self) -> None:
        """End the run, as far as this process is concerned."""


class _WandB:
    """Weights & Biases; WANDB_MODE, WANDB_PROJECT and so on count as ever."""

    def __init__(self, run: Run):
        import wandb

        self.key = run.key
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=run.name,
            id=run.key,
            resume="allow",
            dir=str(run.folder),
            config=dict(run.settings),
            settings=wandb.Settings(
                console="off", disable_git=True, save_code=False, force=True, login_timeout=1
            ),
        )

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        self._run.log(dict(scalars), step=step)

    def finish(self) -> None:
        self._run.finish()


class _MLflow:
    """MLflow; MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME say where."""

    def __init__(self, run: Run):
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._metric, self._client = Metric, MlflowClient()
        self.key = run.key
        if not run.is_new:
            self._client.update_run(self.key, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        place = experiment.experiment_id if experiment else self._client.create_experiment(name)
        self.key = self._client.create_run(place, run_name=run.name).info.run_id
        params = [Param(key, str(value)) for key, value in run.settings.items()]
        for first in range(0, len(params), _MLFLOW_BATCH):
            self._client.log_batch(self.key, params=params[first : first + _MLFLOW_BATCH])

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        metrics = [self._metric(name, value, now, step) for name, value in scalars.items()]
        self._client.log_batch(self.key, metrics=metrics)

    def finish(self) -> None:
        self._client.set_terminated(self.key)


class _Trackio:
    """Trackio, on this machine, or in a Space of the Hugging Face hub with TRACKIO_SPACE_ID."""

    def __init__(self, run: Run):
        import trackio

        self.key, self._module = run.key, trackio
        trackio.init(
            project=_PROJECT,
            name=f"{run.name}-{run.key}",
            config=dict(run.settings),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        self._module.log(dict(scalars), step=step)

    def finish(self) -> None:
        self._module.finish()


#: Those that need an extra, which has their name.
TRACKERS: Mapping[str, Callable[[Run], Tracker]] = {
    "wandb": _WandB,
    "mlflow": _MLflow,
    "trackio": _Trackio,
}


#: The tracker whose files lie in the workdir; it has no thread.
TENSORBOARD = "tensorboard"
#: What `config.trackers` can name.
NAMES = (TENSORBOARD, *TRACKERS)


def check_installed(names: Sequence[str]) -> None:
    """Check that the packages of trackers are installed.

    Args:
        names: As `config.trackers` has them.

    Raises:
        UserError: One is not.
    """
    with extras.explained():
        for name in TRACKERS.keys() & names:
            if importlib.util.find_spec(name) is None:
                raise ModuleNotFoundError(name=name)


class Sender:
    """Sends the metrics of a run to a tracker, from a thread of its own.

    Each step is sent once at most: the workdir notes which was the last, and a run that goes on, or
    that has got a new tracker, sends what follows it in `metrics.jsonl`.

    Args:
        name: One of `TRACKERS`.
        workdir: The run's folder.
        settings: The settings of the run by dotted name.
    """

    def __init__(self, name: str, workdir: str | Path, settings: Mapping[str, Any]):
        self._name, self._folder, self._settings = name, Workdir(workdir), settings
        self._lines: queue.SimpleQueue[Mapping[str, float] | None] = queue.SimpleQueue()
        self._failure: str | None = None
        self._is_told = self._is_over = False
        for line in self._folder.read_metrics():
            self._lines.put(line)
        self._thread = threading.Thread(target=self._run, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Send the scalars of a step, some time; warn once where the tracker has failed.

        Args:
            step: Its number.
            scalars: Finite values by their names.
        """
        self._warn()
        if self._failure is None:
            self._lines.put({"step": step, **scalars})

    def close(self) -> None:
        """Wait a little until all is sent."""
        self._lines.put(None)
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            self._is_over = True  # should it answer yet: another process may go on with the run
            self._failure = f"no answer for {_PATIENCE:.0f} s"
        self._warn()

    def _warn(self) -> None:
        if self._failure is not None and not self._is_told:
            self._is_told = True
            warnings.warn(
                f"{self._name} gets no more metrics of this run: {self._failure}; metrics.jsonl "
                "has them, and what is missing is sent when the run goes on",
                stacklevel=3,
            )

    def _run(self) -> None:
        try:
            with extras.explained():
                self._send()
        except (Exception, SystemExit) as error:  # whatever a tracker raises ends it, not the run
            text = (str(error).strip().splitlines() or [repr(error)])[0]
            self._failure = re.sub(r"//[^/\s@]+@", "//", text)  # a password in an address

    def _send(self) -> None:
        known = self._folder.read_tracker(self._name)
        key, last = known or (secrets.token_hex(4), -1)
        tracker: Tracker | None = None
        while (line := self._lines.get()) is not None:
            step = int(line["step"])
            if step <= last:
                continue
            if tracker is None:
                path = self._folder.path
                run = Run(key, known is None, path.resolve().name, self._settings, path)
                tracker = TRACKERS[self._name](run)
            if self._is_over:
                return
            # First: a step that may have arrived is not sent again.
            self._folder.write_tracker(self._name, tracker.key, step)
            tracker.log(step, {name: value for name, value in line.items() if name != "step"})
            last = step
        if tracker is not None:
            tracker.finish()


def senders(names: Sequence[str], workdir: str | Path, settings: Mapping[str, Any]) -> list[Sender]:
    """Return what sends the metrics of a run to its trackers, TensorBoard left out.

    Args:
        names: As `config.trackers` has them.
        workdir: The run's folder.
        settings: The settings of the run by dotted name.
    """
    return [Sender(name, workdir, settings) for name in names if name in TRACKERS]
