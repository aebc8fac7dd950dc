"""One run on several hosts: a process each, none of which goes on without the others.

JAX's coordination service notices that a process is gone, and aborts the others from C++, with a
stack, where no Python can come between. So a process here is a pair: a worker that trains, and the
supervisor that started it, which turns that end into one line and an exit code of its own.
"""

import atexit
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, NamedTuple

from absl import logging

from gcn_jax.errors import UserError
from gcn_jax.terminal import printable
from gcn_jax.training.arrivals import Arrivals
from gcn_jax.workdir import Workdir

#: The exit code of a process that ends because another is gone or did not come: start it again.
LOST_CODE = 75  # EX_TEMPFAIL of sysexits.h

#: Seconds without a sign of life, which C++ gives, after which a process is gone.
_SILENCE = 20
#: Seconds that process 0, whose end is noticed at once, leaves to others with the same error.
_FAREWELL = 10
#: Names the supervisor of a worker in its environment.
_SUPERVISOR = "GCN_JAX_SUPERVISOR"
#: How the last words of a process begin that C++ aborts.
_LAST_WORDS = re.compile(rb"F\d{4} |terminate called ")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


class Who(NamedTuple):
    """The processes of a run, as far as the command line names them.

    Attributes:
        address: `host:port` of process 0; None where the cluster says it.
        num_processes: The number of processes, or None.
        process_id: Which this is, from 0, or None.
    """

    address: str | None
    num_processes: int | None
    process_id: int | None


@contextlib.contextmanager
def together(workdir: Path, who: Who, patience: int) -> Iterator[None]:
    """Run the block as one of several processes that train together.

    The process becomes the supervisor and never enters the block; the worker, which it starts by
    the same command line, does.

    Args:
        workdir: The run's folder, which all processes see.
        who: The processes.
        patience: Seconds to wait for all processes.

    Raises:
        SystemExit: In the supervisor, with the code of the worker; `LOST_CODE` where another
            process is gone.
    """
    supervisor = os.environ.pop(_SUPERVISOR, None)
    if supervisor is None:
        command = [sys.executable, *sys.orig_argv[1:]]
        raise SystemExit(supervise(command, workdir, who.num_processes))
    _end_with(int(supervisor))
    _join(workdir, who, patience)
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if _may_be_of_others(error):
            time.sleep(_SILENCE + _FAREWELL)  # if so, this process does not outlast it
        code = 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
        atexit.register(_leave, 2 if isinstance(error, UserError) else code)
        raise


def supervise(command: Sequence[str], workdir: Path, count: int | None) -> int:
    """Run a worker and say in one line what ended it, where it was not the worker itself.

    Args:
        command: The worker's command line.
        workdir: The run's folder.
        count: The number of processes, or None where only the cluster knows.

    Returns:
        The code to end with.
    """
    environment = os.environ | {_SUPERVISOR: str(os.getpid())}
    if environment.get("TF_CPP_MIN_LOG_LEVEL") != "0":  # errors that Python gets to see, too
        environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # In a group of its own, Ctrl-C reaches it once: from here.
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, env=environment, process_group=0
    ) as worker:

        def pass_on(number: int, frame: FrameType | None) -> None:
            del frame
            worker.send_signal(number)

        for number in _SIGNALS:
            signal.signal(number, pass_on)
        assert worker.stderr is not None
        last_words = _relay(worker.stderr)
        code = worker.wait()
    if code >= 0:
        return code
    if sys.stdout.isatty():
        _write(b"\x1b[?25h", to=1)  # the bar has hidden the cursor
    lost = lost_process(last_words.decode(errors="replace"), count)
    if code == -signal.SIGABRT and lost:
        tell(f"{lost}; {_how_to_go_on(workdir)}")
        return LOST_CODE
    _write(last_words)
    if code == -signal.SIGINT:
        tell("interrupted")
    if code == -signal.SIGKILL:
        tell("the process was killed (SIGKILL), by somebody or for want of memory")
    return 128 - code


def lost_process(last_words: str, count: int | None) -> str | None:
    """Return which process is gone, in words.

    Args:
        last_words: What a process wrote before it was aborted.
        count: The number of processes, or None.

    Returns:
        None where it was aborted for another reason.
    """
    of = "" if count is None else f" of {count}"
    if "RegisterTask" in last_words:
        return "the processes did not all come"
    if "distributed service detected fatal errors" not in last_words:
        return "another process is gone" if "gloo" in last_words else None
    listed = re.findall(r"stopped sending heartbeats\):\n((?:\d+\n)+)", last_words)
    gone = sorted({int(task) for tasks in listed for task in tasks.split()})
    if not gone:
        return f"process 0{of} is gone"  # whoever hosts the service cannot say it
    if len(gone) == 1:
        return f"process {gone[0]}{of} is gone"
    return f"processes {', '.join(map(str, gone))}{of} are gone"


def _relay(errors: IO[bytes]) -> bytes:
    """Pass on what a worker writes, but for its last words, which are returned."""
    last_words = b""
    for line in errors:
        if last_words or _LAST_WORDS.match(line):
            last_words += line
        else:
            _write(line)
    return last_words


def _how_to_go_on(workdir: Path) -> str:
    step = Workdir(workdir).newest_step()
    if step is None:
        return "nothing is saved yet; start the same command on all hosts again"
    return f"step {step} is saved, from which the same command on all hosts goes on"


def tell(text: str) -> None:
    """Print a line about the processes to standard error.

    Args:
        text: The line.
    """
    _write(f"{printable(text)}\n".encode())


def _join(workdir: Path, who: Who, patience: int) -> None:
    """Wait until all processes are there."""
    import jax
    from jax._src.distributed import global_state  # what the cluster says

    def give_up(text: str) -> None:
        tell(text)
        os._exit(LOST_CODE)

    logging.set_verbosity(logging.FATAL)  # what Orbax logs in its threads, it raises, too
    # JAX's handler of SIGTERM would swallow a stop before the first step.
    jax.config.update("jax_enable_preemption_service", False)
    previous = signal.signal(signal.SIGINT, signal.SIG_DFL)  # C++ waits
    with Arrivals(Workdir(workdir).arrivals, global_state, patience, tell, give_up):
        jax.distributed.initialize(
            *who,
            initialization_timeout=patience + 60,
            heartbeat_timeout_seconds=_SILENCE,
        )
    signal.signal(signal.SIGINT, previous)


def _may_be_of_others(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, is such as the loss of a process causes."""
    import jax

    while error is not None:
        text = str(error)
        if isinstance(error, jax.errors.JaxRuntimeError) or "gloo" in text.lower():
            return "RESOURCE_EXHAUSTED" not in text
        error = error.__cause__ or error.__context__
    return False


def _leave(code: int) -> None:
    """End the process without waiting for the others, as JAX does at the end of a run."""
    from jax._src.distributed import global_state

    sys.stdout.flush()
    sys.stderr.flush()
    if global_state.process_id == 0:
        time.sleep(_FAREWELL)
    os._exit(code)


def _end_with(supervisor: int) -> None:
    """Let the system kill this process when its supervisor is killed."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(128 + signal.SIGKILL)


def _write(text: bytes, to: int = 2) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(to, text)
