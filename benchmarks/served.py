"""A contestant in a process of its own, which runs it when asked."""

import multiprocessing
import time
import traceback

import psutil

from benchmarks.contestants import CONTESTANTS, Case, peak_memory


class ServedError(Exception):
    """What went wrong in the process of a contestant, in one line."""


class Served:
    """A process that builds a contestant and runs it when asked.

    Args:
        name: The contestant, a name of `CONTESTANTS`.
        case: What it is built for.
        patience: How many seconds an answer may take; None for any number.

    Raises:
        ServedError: It failed, or did not answer in time; its process has ended then. `time` raises
            it, too.

    Attributes:
        first_step: Seconds from the start of the process to the end of its first step.
        peak_bytes: The most memory that it held until then and in one more step.
    """

    def __init__(self, name: str, case: Case, patience: float | None = None):
        context = multiprocessing.get_context("spawn")
        self._patience = patience
        self._pipe, pipe = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, case, pipe), daemon=True)
        self._process.start()
        pipe.close()  # that of the process stays: if it dies, `recv` says so
        self.first_step, self.peak_bytes = self._answer()

    def time(self, what: str) -> float:
        """Run "step" or "forward" once and return its seconds."""
        self._pipe.send(what)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()

    def _answer(self):
        if not self._pipe.poll(self._patience):
            self._process.kill()
            self._process.join()
            raise ServedError(f"no answer in {self._patience:.0f} s")
        try:
            answer = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise ServedError(f"the process ended with code {self._process.exitcode}") from None
        if isinstance(answer, ServedError):
            self._process.join()
            raise answer
        return answer


def _serve(name: str, case: Case, pipe) -> None:
    try:
        runs = CONTESTANTS[name](case)
        runs["step"]()
        first_step = time.time() - psutil.Process().create_time()
        runs["step"]()
        pipe.send((first_step, peak_memory(name)))
        while (what := pipe.recv()) is not None:
            start = time.perf_counter()
            runs[what]()
            pipe.send(time.perf_counter() - start)
    except Exception as error:  # whatever a library raises
        traceback.print_exc()
        first_line = str(error).partition("\n")[0]
        pipe.send(ServedError(f"{type(error).__name__}: {first_line}"))
