"""The folder of a run: the names of its files, and one reader for each of them.

    config.json         the settings
    model.json          what rebuilds the model and prepares its images
    source.json         of an imported network: the file that it was, and whose
    sessions.json       each start of the run: when, by which command, on what
    metrics.jsonl       one JSON object a line, with `step` and names such as `val/miou`
    checkpoints/STEP/   what Orbax writes
    report.html         the page about the run
    trackers.json       what finds the run in its trackers, and how far they were sent its metrics
    .lock               who writes the folder now
    .processes/         while several processes wait for each other: who is there

TensorBoard's events lie beside them. An imported network is a workdir, too.
"""

import contextlib
import dataclasses
import fcntl
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

from gcn_jax import atomic
from gcn_jax.errors import UserError
from gcn_jax.sessions import Session

#: The kinds of the settings in `config.json` that name a run's data.
_DATA_SETTINGS = {
    "train": list,
    "val": str,
    "data_dir": str | None,
    "manual_dir": str | None,
}

#: Each tracker of a run writes from a thread of its own.
_TRACKERS_LOCK = threading.Lock()

#: How lock files write the start of a process, and by how much a clock may be put meanwhile.
_TIME, _CLOCK_SECONDS = "%Y-%m-%d %H:%M:%S", 10


class InUseError(UserError):
    """Another process writes the folder."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """The published file that an imported network was, as in `source.json`.

    Attributes:
        source: The file as it was named, or its address.
        sha256: The digest of the file, in hexadecimal digits.
        family: What such files are, such as "PSPNet of hszhao/semseg".
        licence: Under which the weights may be used.
        homepage: Where they are published.
    """

    source: str
    sha256: str
    family: str
    licence: str
    homepage: str


class Workdir:
    """The folder of a run.

    Args:
        path: The folder; it need not exist.

    Attributes:
        path: The folder.
        config_file: The settings, which `read_config` reads.
        model_file: The model's description, which `read_model` reads.
        origin_file: Where an imported network came from, which `read_origin` reads.
        sessions_file: Each start of the run, which `read_sessions` reads.
        metrics_file: The metrics, which `read_metrics` reads.
        checkpoints: The folder of the checkpoints, absolute as Orbax wants it.
        report_file: The page about the run.
        arrivals: Where processes that wait for each other show that they are there.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.model_file = self.path / "model.json"
        self.origin_file = self.path / "source.json"
        self.sessions_file = self.path / "sessions.json"
        self.metrics_file = self.path / "metrics.jsonl"
        self.checkpoints = (self.path / "checkpoints").resolve()
        self.report_file = self.path / "report.html"
        self._trackers_file = self.path / "trackers.json"
        self.arrivals = self.path / ".processes"
        self._lock_file = self.path / ".lock"

    @property
    def has_model(self) -> bool:
        """Whether a run has written here what its model is."""
        return self.model_file.exists()

    def newest_step(self) -> int | None:
        """Return the newest step that is saved, or None."""
        names = self.checkpoints.iterdir() if self.checkpoints.exists() else ()
        return max((int(path.name) for path in names if path.name.isdigit()), default=None)

    def read_config(self) -> dict[str, Any]:
        """Read the settings of the run.

        Returns:
            The sections and settings, as JSON has them. What a reader of the run needs, the section
            "data" and "eval_batch_size", is there and of its kind.

        Raises:
            UserError: There is no file, or it does not hold settings; the message names file, key
                and value.
        """
        try:
            config = read_object(self.config_file)
        except FileNotFoundError:
            raise UserError(f"{self.path} has no config.json, which names the run's data") from None
        settings = config.get("data")
        for key, kind in _DATA_SETTINGS.items():
            value = settings.get(key) if isinstance(settings, dict) else None
            if not isinstance(value, kind):
                raise UserError(f"{self.config_file} is damaged: data.{key} is {value!r:.80}")
        batch = config.get("eval_batch_size", 1)
        if type(batch) is not int or batch < 1:
            raise UserError(f"{self.config_file} is damaged: eval_batch_size is {batch!r:.80}")
        return config

    def read_model(self) -> dict[str, Any]:
        """Read the description of the model, as JSON has it; `models.read_info` checks its values.

        Raises:
            UserError: There is no file, or it holds no JSON object.
        """
        try:
            return read_object(self.model_file)
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{self.path} is not the workdir of a training run: it has no model.json (a "
                "workdir is what train.py writes, by default runs/<config name>)"
            ) from None

    def read_origin(self) -> Origin | None:
        """Read where an imported network came from; None for a training run.

        Raises:
            UserError: The file does not hold that.
        """
        if not self.origin_file.exists():
            return None
        values = read_object(self.origin_file)
        keys = [field.name for field in dataclasses.fields(Origin)]
        wrong = [key for key in keys if not isinstance(values.get(key), str)]
        if wrong:
            raise UserError(f"{self.origin_file} is damaged: no text for {', '.join(wrong)}")
        return Origin(*(values[key] for key in keys))

    def write_origin(self, origin: Origin) -> None:
        """Write where an imported network came from."""
        write_object(self.origin_file, dataclasses.asdict(origin))

    def read_sessions(self) -> list[Session]:
        """Read each start of the run, the first one first; runs of older versions have none.

        Raises:
            UserError: The file does not hold that.
        """
        if not self.sessions_file.exists():
            return []
        sessions = read_object(self.sessions_file).get("sessions")
        if not isinstance(sessions, list):
            raise UserError(f"{self.sessions_file} is damaged: it has no list of sessions")
        try:
            return [Session.from_json(session) for session in sessions]
        except ValueError as error:
            raise UserError(f"{self.sessions_file} is damaged: {error}") from None

    def write_sessions(self, sessions: Sequence[Session]) -> None:
        """Write each start of the run."""
        values = [dataclasses.asdict(session) for session in sessions]
        write_object(self.sessions_file, {"sessions": values})

    def read_metrics(self) -> list[dict[str, float]]:
        """Read the metrics; a line that a kill cut in two is left out, a missing file is empty.

        Returns:
            One dict a line, with `step` and some of `train/loss`, `val/miou` and so on.

        Raises:
            UserError: A line is no JSON object with a step.
        """
        if not self.metrics_file.exists():
            return []
        *lines, _cut = self.metrics_file.read_bytes().split(b"\n")
        return [self._record(line, number) for number, line in enumerate(lines, 1)]

    def _record(self, line: bytes, number: int) -> dict[str, float]:
        try:
            record = json.loads(line)
            known = type(record["step"]) is int and all(
                isinstance(value, int | float) for value in record.values()
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            known = False
        if not known:
            raise UserError(
                f"{self.metrics_file}, line {number}: no JSON object with a step and numbers; "
                "remove it"
            )
        return record

    def read_tracker(self, name: str) -> tuple[str, int] | None:
        """Return what finds the run in a tracker, and the last step that it was sent.

        Args:
            name: The tracker.

        Returns:
            None where the run is new to it, or the file is not what `write_tracker` wrote.
        """
        try:
            known = read_object(self._trackers_file).get(name, {})
            return str(known["run"]), int(known["step"])
        except (OSError, UserError, TypeError, LookupError, ValueError, AttributeError):
            return None

    def write_tracker(self, name: str, run: str, step: int) -> None:
        """Note what finds the run in a tracker, and the last step that it was sent.

        Args:
            name: The tracker.
            run: What finds the run there.
            step: The step.
        """
        with _TRACKERS_LOCK:
            try:
                known = read_object(self._trackers_file)
            except (OSError, UserError):
                known = {}
            write_object(self._trackers_file, {**known, name: {"run": run, "step": step}})

    def _in_use(self, owner: str, remedy: str = "") -> InUseError:
        return InUseError(
            f"{self.path} is being written by {owner}; wait until it has ended, or name another "
            f"--workdir{remedy}"
        )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing the folder for the time of the block.

        The lock is the operating system's and ends with its process, however that ends; the file
        says who holds it: process, host, start. Where a file system has no locks, the file alone
        counts, unless the process that it names was one of this host, and is gone. Temporary files
        of processes that were killed are removed.

        Raises:
            InUseError: Another process holds it.
            UserError: Nothing can be written here.
        """
        is_new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = self._lock_file.open("a+")
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self._in_use(_content(file) or "another process") from None
            except OSError:  # a file system without locks
                if (owner := _content(file)) and not _is_gone(owner):
                    remedy = f"; if that is long gone, delete {self._lock_file}"
                    raise self._in_use(owner, remedy) from None
            for left in (*self.path.glob(".*.tmp"), *self.checkpoints.glob("*/*/.*.tmp")):
                left.unlink(missing_ok=True)
            file.seek(0)
            file.truncate()
            file.write(_this_process() + "\n")
            file.flush()
            try:
                yield
            finally:
                file.seek(0)
                file.truncate()
                if is_new and [*self.path.iterdir()] == [self._lock_file]:
                    self._lock_file.unlink()  # nothing came of it
                    self.path.rmdir()


def _content(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()


def _this_process() -> str:
    """Name this process as lock files do."""
    process = psutil.Process()
    started = time.strftime(_TIME, time.localtime(process.create_time()))
    return f"process {process.pid} on {socket.gethostname()}, since {started}"


def _is_gone(owner: str) -> bool:
    """Whether a lock file names a process of this host that does not run any more."""
    named = re.fullmatch(r"process (\d{1,9}) on (.+), since (.+)", owner)
    if named is None or named[2] != socket.gethostname():
        return False
    try:
        then = time.mktime(time.strptime(named[3], _TIME))
        return abs(psutil.Process(int(named[1])).create_time() - then) > _CLOCK_SECONDS
    except psutil.Error:
        return True
    except ValueError:  # no time
        return False


def read_object(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is none.
        UserError: It is not JSON, or JSON of another kind; the message names the file.
    """
    try:
        value = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error})") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: it holds {type(value).__name__}, not a JSON object")
    return value


def write_object(path: Path, value: dict[str, Any]) -> None:
    """Write one JSON object into a file, whole or not at all.

    Args:
        path: The file.
        value: What JSON can hold.
    """
    atomic.write(path, json.dumps(value, indent=2))
