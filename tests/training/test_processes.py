"""What a process of several says when others are gone or do not come; no JAX takes part."""

import signal
import sys
from types import SimpleNamespace

import pytest

from gcn_jax.training import arrivals
from gcn_jax.training.arrivals import Arrivals, Counts
from gcn_jax.training.processes import LOST_CODE, lost_process, supervise

# As jaxlib 0.10.2 and 0.12.0 write it; a worker's heartbeats, and the end of the coordinator.
FATAL = (
    "F1126 16:32:56.278664     580 client.h:80] Terminating process because the JAX distributed "
    "service detected fatal errors. This most likely indicates that another task died; see the "
    "other task logs for more details. absl::Status: "
)
SILENT = FATAL + (
    "UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n{}\n"
    "The tasks have crashed. Check the task logs for an earlier error\n\n"
    "RPC: /xla.coordination.CoordinationService/PollForError\n*** Check failure stack trace: ***\n"
    "    @     0x7f4fa9c40634  absl::lts_20260107::log_internal::LogMessage::SendToLog()\n"
)
CLOSED = FATAL + (
    "UNAVAILABLE: Socket closed\nAdditional GRPC error information from remote target "
    "coordination_service while calling /xla.coordination.CoordinationService/PollForError:\n"
    ':UNKNOWN:Error received from peer  {grpc_status:14, grpc_message:"Socket closed"}\n'
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (SILENT.format("2"), "process 2 of 4 is gone"),
        (SILENT.format("3\n1"), "processes 1, 3 of 4 are gone"),
        (CLOSED, "process 0 of 4 is gone"),
        (FATAL + "DEADLINE_EXCEEDED\n\nRPC: /x/RegisterTask", "the processes did not all come"),
        ("terminate called after throwing an instance of 'gloo::IoException'", "another process"),
        ("F1126 16:32:56 1 other.cc:1] Check failed: 1 == 2", None),
    ],
)
def test_last_words_name_the_process_that_is_gone(words, said):
    found = lost_process(words, 4)
    assert found is None if said is None else found.startswith(said)


@pytest.fixture
def handlers():
    """Give the signals of this process back, which a supervisor takes."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def worker(text, end):
    """The command of a process that writes a text to standard error and ends."""
    return [sys.executable, "-c", f"import os, sys; sys.stderr.write({text!r}); {end}"]


ABORT = "sys.stderr.flush(); os.kill(os.getpid(), 6)"


def test_a_supervisor_turns_an_abort_into_one_line_and_its_code(handlers, tmp_path, capfd):
    command = worker("a warning\n" + SILENT.format("2"), ABORT)
    assert supervise(command, tmp_path, 4) == LOST_CODE == 75
    assert capfd.readouterr().err.splitlines() == [
        "a warning",
        "process 2 of 4 is gone; nothing is saved yet; start the same command on all hosts again",
    ]
    for name in ("5", "10", "15.orbax-checkpoint-tmp"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert supervise(worker(CLOSED, ABORT), tmp_path, None) == LOST_CODE
    assert capfd.readouterr().err.splitlines() == [
        "process 0 is gone; step 10 is saved, from which the same command on all hosts goes on"
    ]


def test_a_supervisor_hides_no_other_end(handlers, tmp_path, capfd):
    for code in (0, 2, 143):
        assert supervise(worker("a line\n", f"sys.exit({code})"), tmp_path, 2) == code
        assert capfd.readouterr().err == "a line\n"
    words = "F1126 16:32:56 1 other.cc:1] Check failed: 1 == 2\n    @ 0x1\n"
    assert supervise(worker(words, ABORT), tmp_path, 2) == 134
    assert capfd.readouterr().err == words
    assert supervise(worker("", "os.kill(os.getpid(), 9)"), tmp_path, 2) == 137
    assert "killed (SIGKILL)" in capfd.readouterr().err


def test_signals_reach_the_worker_once(handlers, tmp_path, capfd):
    handler = "signal.signal(2, lambda *_: print('caught', file=sys.stderr, flush=True))"
    end = f"import signal, time; {handler}; os.kill(os.getppid(), 2); time.sleep(1); sys.exit(130)"
    assert supervise(worker("", end), tmp_path, 2) == 130
    assert capfd.readouterr().err == "caught\n"


def test_a_process_is_there_while_its_file_counts(tmp_path):
    """What a killed process left behind does not count, however new it is."""
    mine, theirs, dead = (Counts(tmp_path / "run" / "counts") for _ in range(3))
    theirs.add(1)
    dead.add(2)
    assert mine.missing({1, 2, 3}, now=0) == [1, 2, 3]
    theirs.add(1)
    assert mine.missing({1, 2, 3}, now=1) == [2, 3]
    assert mine.missing({1, 2, 3}, now=10.9) == [2, 3]
    assert mine.missing({1, 2, 3}, now=11) == [1, 2, 3]
    theirs.add(1)
    assert mine.missing({1}, now=12) == []
    theirs.remove(1)
    assert mine.missing({1}, now=13) == []
    dead.remove(2)
    assert not (tmp_path / "run").exists()


def test_the_missing_are_named_until_patience_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(arrivals, "_INTERVAL", 0.01)
    monkeypatch.setattr(arrivals, "_STALE", 0.2)
    cluster = SimpleNamespace(process_id=1, num_processes=3, coordinator_address="host:1234")
    lines: list[str] = []
    with Arrivals(tmp_path / "counts", cluster, 0.5, lines.append, lines.append) as waiting:
        waiting._thread.join(20)
    assert lines == [
        "waiting for processes 0, 2 of 3 (0 at host:1234); giving up in 0 s",
        "processes 0, 2 of 3 (0 at host:1234) did not come within 0 s; start the same command on "
        "all hosts again",
    ]
    assert not (tmp_path / "counts").exists()
