"""When, by which command, on what and with which versions something ran."""

import dataclasses
import os
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from gcn_jax import __version__

#: Packages whose releases change what comes out, and how fast.
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


@dataclasses.dataclass(frozen=True)
class Session:
    """One start of a training run, or one evaluation.

    Attributes:
        started: The time, as ISO 8601 has it, with its zone.
        ended: The same; None before the end, and for ever where the process was killed.
        command: The words of the command; empty where Python code began it.
        folder: The folder that it was started in.
        devices: Such as "2 x NVIDIA H100".
        cpu: The name of the processor.
        num_cores: How many of its threads the process may use.
        memory: The memory of the machine, in bytes.
        versions: Those of Python, gcn_jax and packages, by name.
        first_step: The step that a training run went on from.
    """

    started: str
    ended: str | None
    command: list[str]
    folder: str
    devices: str
    cpu: str
    num_cores: int
    memory: int
    versions: dict[str, str]
    first_step: int = 0

    @classmethod
    def begin(cls, command: Sequence[str], devices: Iterable[Any]) -> "Session":
        """Return a session that begins now, in this process.

        Args:
            command: The words of the command; empty where there is none.
            devices: JAX's devices that it runs on, on all hosts.
        """
        kinds = Counter(device.device_kind for device in devices)
        versions = {"python": platform.python_version(), "gcn_jax": __version__}
        return cls(
            started=_now(),
            ended=None,
            command=list(command),
            folder=str(Path.cwd()),
            devices=", ".join(f"{count} x {kind}" for kind, count in kinds.items()),
            cpu=cpu_name(),
            num_cores=len(os.sched_getaffinity(0)),
            memory=psutil.virtual_memory().total,
            versions=versions | {name: version(name) for name in _PACKAGES},
        )

    @classmethod
    def from_json(cls, values: Any) -> "Session":
        """Return the session that JSON values describe.

        Args:
            values: What `dataclasses.asdict` gave.

        Raises:
            ValueError: They are none; the message names what is wrong.
        """
        if not isinstance(values, dict):
            raise ValueError("no JSON object")
        known: dict[str, Any] = {
            field.name: values.get(field.name) for field in dataclasses.fields(cls)
        }
        for name, kind in _KINDS.items():
            if not isinstance(known[name], kind):
                raise ValueError(f"{name} is {known[name]!r:.80}")
        if not all(isinstance(word, str) for word in known["command"]):
            raise ValueError(f"command is {known['command']!r:.80}")
        for name in ("started", "ended"):
            if known[name] is not None and datetime.fromisoformat(known[name]).tzinfo is None:
                raise ValueError(f"{name} is {known[name]!r:.80}, without a zone")
        return cls(**known)

    def end(self) -> "Session":
        """Return the session as one that ends now."""
        return dataclasses.replace(self, ended=_now())

    @property
    def seconds(self) -> float | None:
        """How long it took; None where that is not known."""
        if self.ended is None:
            return None
        ended, started = map(datetime.fromisoformat, (self.ended, self.started))
        return max(0.0, (ended - started).total_seconds())  # a clock may be put


_KINDS: dict[str, Any] = {
    "started": str,
    "ended": str | None,
    "command": list,
    "folder": str,
    "devices": str,
    "cpu": str,
    "num_cores": int,
    "memory": int,
    "versions": dict,
    "first_step": int,
}


def cpu_name() -> str:
    """Return what the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
