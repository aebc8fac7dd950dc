"""The processes of a run that have come, while all are waited for; JAX does not say which.

Each counts in a file of its own in the run's folder, which all see; whose file counts is there.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol

#: Seconds between two counts, and without one after which a process is not there.
_INTERVAL = 1.0
_STALE = 10.0
#: Seconds between two lines about who is missing.
_LINES = 30.0


class Cluster(Protocol):
    """The processes, once JAX has asked the cluster.

    Attributes:
        process_id: Which this is.
        num_processes: How many there are; 1 before it is known.
        coordinator_address: `host:port` of process 0, None before it is known.
    """

    process_id: int
    num_processes: int
    coordinator_address: str | None


class Counts:
    """The files of the processes.

    Args:
        folder: The folder of the files; it need not exist.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._count = 0
        self._seen: dict[int, tuple[str, float]] = {}

    def add(self, index: int) -> None:
        """Count once.

        Args:
            index: Which process this is.
        """
        self._count += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / str(index)).write_text(f"{self._count}")

    def missing(self, others: set[int], now: float) -> list[int]:
        """Return those of the processes whose files have not counted lately.

        What a killed process left stands still, whatever the clocks of the hosts say.

        Args:
            others: The processes.
            now: Seconds, from any clock that goes on.
        """
        for index in others:
            with contextlib.suppress(OSError):
                count = (self._folder / str(index)).read_text()
                first = index not in self._seen
                if first or self._seen[index][0] != count:
                    self._seen[index] = count, now - (_STALE if first else 0)
        return sorted(
            index for index in others if now - self._seen.get(index, ("", -_STALE))[1] >= _STALE
        )

    def remove(self, index: int) -> None:
        """Remove the file of a process, and folders that nothing else is in.

        Args:
            index: The process.
        """
        with contextlib.suppress(OSError):
            (self._folder / str(index)).unlink(missing_ok=True)
            self._folder.rmdir()
            self._folder.parent.rmdir()


class Arrivals:
    """A thread that says, for the time of the block, which processes are waited for.

    Args:
        folder: The folder of the files.
        cluster: The processes.
        patience: Seconds after which it gives up.
        tell: Prints a line.
        give_up: Ends the process, with a last line.
    """

    def __init__(
        self,
        folder: Path,
        cluster: Cluster,
        patience: float,
        tell: Callable[[str], None],
        give_up: Callable[[str], None],
    ):
        self._counts, self._cluster, self._patience = Counts(folder), cluster, patience
        self._tell, self._give_up = tell, give_up
        self._here = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)

    def __enter__(self) -> "Arrivals":
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; all are there."""
        self._here.set()
        self._thread.join()

    def _wait(self) -> None:
        start, cluster, told = time.monotonic(), self._cluster, 0.0
        while not self._here.wait(_INTERVAL):
            seconds = time.monotonic() - start
            names = self._names_of_missing(seconds)
            if seconds >= self._patience:
                self._counts.remove(cluster.process_id)
                self._give_up(
                    f"{names} did not come within {self._patience:.0f} s; start the same command "
                    "on all hosts again"
                )
                return
            if seconds >= _STALE and (not told or seconds - told >= _LINES):
                told = seconds
                left = self._patience - seconds
                self._tell(f"waiting for {names}; giving up in {left:.0f} s")
        self._counts.remove(cluster.process_id)

    def _names_of_missing(self, now: float) -> str:
        cluster = self._cluster
        missing: list[int] = []
        if cluster.coordinator_address is not None:
            with contextlib.suppress(OSError):  # a folder that cannot be written says nothing
                self._counts.add(cluster.process_id)
                others = {*range(cluster.num_processes)} - {cluster.process_id}
                missing = self._counts.missing(others, now)
        return _names(missing, cluster)


def _names(missing: list[int], cluster: Cluster) -> str:
    """Name processes, and where the first of all is expected."""
    if not missing:
        return "the other processes"
    text = f"process{'es' if len(missing) > 1 else ''} {', '.join(map(str, missing))}"
    where = f" (0 at {cluster.coordinator_address})" if 0 in missing else ""
    return f"{text} of {cluster.num_processes}{where}"
