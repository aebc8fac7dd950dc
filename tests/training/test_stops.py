"""Signals and failures at every moment of a run: what is saved, what is said, what goes on."""

import errno
import os
import signal
import subprocess
import sys
import threading

import jax
import pytest

from gcn_jax import mesh, report
from gcn_jax.cli import train
from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError
from gcn_jax.training import devices, loop, run, train_and_evaluate, validation
from gcn_jax.training.checkpoints import Checkpoints
from gcn_jax.training.interruption import Interrupted, Interruption
from gcn_jax.workdir import Workdir
from tests.helpers.runs import assert_identical, changed, kept_steps, timeless


def test_signal_during_validation_is_obeyed_at_once(finished, config, tmp_path, monkeypatch):
    """The step is saved before; its line and its scores come with the continuation."""
    workdir, whole = finished
    evaluate = validation.evaluation.evaluate
    asked = []

    def interrupted(predictor, source):
        def count(done, total):
            asked.append(done)
            os.kill(os.getpid(), signal.SIGTERM)

        return evaluate(predictor, source, progress=count)

    monkeypatch.setattr(validation.evaluation, "evaluate", interrupted)
    with pytest.raises(SystemExit) as stopped:
        train_and_evaluate(config, tmp_path / "run")
    assert stopped.value.code == 143
    assert len(asked) == 1
    assert kept_steps(tmp_path / "run") == {4, 6}
    assert [line["step"] for line in Workdir(tmp_path / "run").read_metrics()] == [4]
    monkeypatch.undo()
    assert_identical(train_and_evaluate(config, tmp_path / "run"), whole)
    assert timeless(tmp_path / "run") == timeless(workdir)
    with Checkpoints(tmp_path / "run") as ours, Checkpoints(workdir) as theirs:
        assert ours.scores == theirs.scores


def test_signal_before_and_in_the_first_step_leaves_nothing_to_save(
    config, tmp_path, monkeypatch, capsys
):
    """The first step is where a network is compiled."""

    def interrupted(*args, **how):
        os.kill(os.getpid(), signal.SIGHUP)
        raise AssertionError("not reached")

    for place, name in ((loop, "start"), (loop, "to_devices")):
        monkeypatch.setattr(place, name, interrupted)
        with pytest.raises(SystemExit) as stopped:
            train_and_evaluate(config, tmp_path / name)
        assert stopped.value.code == 129
        assert not (tmp_path / name / "checkpoints").exists()
        monkeypatch.undo()
    said = capsys.readouterr()
    assert "stopped by SIGHUP before the first step" in said.err
    assert "stopped by SIGHUP after step 0" in said.out + said.err
    assert "nothing is saved yet" in " ".join((said.out + said.err).split())


def test_signal_while_waiting_for_data_is_obeyed_at_once(finished, config, tmp_path, monkeypatch):
    workdir, whole = finished
    training_batches = run.data.training_batches

    class Stalled:
        """A disk that hangs at the sixth batch, for good, and a signal that comes meanwhile."""

        def __init__(self, batches):
            self._batches, self._count = batches, 0
            self.get_state, self.set_state = batches.get_state, batches.set_state

        def __next__(self):
            self._count += 1
            if self._count == 6:
                threading.Timer(0.2, signal.pthread_kill, main_and_interrupt).start()
                threading.Event().wait(60)
            return next(self._batches)

    # To another thread, the signal would not wake the main one; then the process is ended.
    main_and_interrupt = (threading.main_thread().ident, signal.SIGINT)
    monkeypatch.setattr(
        run.data, "training_batches", lambda *args, **how: Stalled(training_batches(*args, **how))
    )
    with pytest.raises(SystemExit) as stopped:
        train_and_evaluate(config, tmp_path / "run")
    assert stopped.value.code == 130
    assert max(kept_steps(tmp_path / "run")) == 5
    monkeypatch.undo()
    assert_identical(train_and_evaluate(config, tmp_path / "run"), whole)
    assert timeless(tmp_path / "run") == timeless(workdir)


def test_a_record_that_cannot_be_read_is_named_and_nothing_is_lost(
    finished,
    config,
    tmp_path,
    monkeypatch,
):
    training_batches = run.data.training_batches
    errors = [
        Problem("damaged copy", "/data/folder is damaged; delete that folder"),
        RuntimeError("block header hash mismatch\nmore"),
    ]

    class Damaged:
        def __init__(self, batches):
            self._batches, self._count = batches, 0
            self.get_state, self.set_state = batches.get_state, batches.set_state

        def __next__(self):
            self._count += 1
            if self._count == 6 or len(errors) == 1:
                raise errors.pop()
            return next(self._batches)

    monkeypatch.setattr(
        run.data, "training_batches", lambda *args, **how: Damaged(training_batches(*args, **how))
    )
    with pytest.raises(
        UserError, match="folder:train cannot be read: block header hash mismatch; step 4 is saved"
    ):
        train_and_evaluate(config, tmp_path / "run")
    with pytest.raises(UserError, match="is damaged; delete that folder; step 4 is saved, from w"):
        train_and_evaluate(config, tmp_path / "run")
    assert kept_steps(tmp_path / "run") == {4}
    monkeypatch.undo()
    assert_identical(train_and_evaluate(config, tmp_path / "run"), finished[1])


def test_a_kill_beside_the_metrics_loses_nothing(finished, config, tmp_path, monkeypatch):
    """In the moment after the line of the metrics is written, and in the moment before it."""
    workdir, whole = finished
    for number, name in enumerate(("add_scores", "write")):
        target = Checkpoints if name == "add_scores" else loop.MetricWriter
        place = tmp_path / str(number)

        original = getattr(target, name)

        def killed(self, step, *rest, original=original):
            if step == 6:
                raise KeyboardInterrupt
            original(self, step, *rest)

        monkeypatch.setattr(target, name, killed)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, place)
        monkeypatch.undo()
        assert_identical(train_and_evaluate(config, place), whole)
        assert timeless(place) == timeless(workdir)
        with Checkpoints(place) as ours, Checkpoints(workdir) as theirs:
            assert ours.scores == theirs.scores


def test_processes_learn_of_a_signal_after_the_same_step(monkeypatch):
    """Of one process on eight devices: it asks after a step and reads the answer after the next."""
    agreement = devices.Agreement(mesh.data_mesh(jax.devices()))
    assert agreement.after_step(signal.SIGTERM) == signal.SIGTERM
    monkeypatch.setattr(devices.jax, "process_count", lambda: 2)
    numbers = (None, signal.SIGTERM, None, None)
    assert list(map(agreement.after_step, numbers)) == [None, None, signal.SIGTERM, None]


def test_a_step_that_cannot_be_written_leaves_no_folder(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        unfinished = checkpoints.folder / "3.orbax-checkpoint-tmp/state"
        unfinished.mkdir(parents=True)
        whole = checkpoints.folder / "2"
        whole.mkdir()
    assert list(checkpoints.folder.iterdir()) == [whole]


def test_a_signal_while_the_report_is_written_says_how_to_write_it(monkeypatch, capfd):
    def stopped(workdir):
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(30)

    monkeypatch.setattr(report, "training_report", stopped)
    with pytest.raises(SystemExit) as ended:
        train._write_report("runs/a")
    assert ended.value.code == 128 + signal.SIGTERM
    assert capfd.readouterr().err == (
        "stopped by SIGTERM while the report was written; everything is saved, and "
        "`gcn-jax report --ckpt runs/a` writes it\n"
    )


def test_the_device_is_never_more_than_two_steps_behind(config, tmp_path, monkeypatch):
    waited = []
    block = jax.block_until_ready
    monkeypatch.setattr(
        loop.jax, "block_until_ready", lambda losses: waited.append(len(losses)) or block(losses)
    )
    train_and_evaluate(changed(config, log_every=3, num_steps=3), tmp_path / "run")
    assert waited == [0, 1, 1]


def test_a_batch_that_no_memory_holds_is_refused_before_the_first_step(config, tmp_path):
    large = changed(config, batch_size=65536, **{"augment.crop_size": (4096, 4096)})
    with pytest.raises(UserError, match=r"batch_size is 65536: .* GiB.* folder:train has 12"):
        train_and_evaluate(large, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_noticed_before_the_first_step(config, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(run.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match="MiB left, and two checkpoints take"):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_full_at_a_line_of_the_metrics_ends_in_one_line(
    config, tmp_path, monkeypatch
):
    """TensorBoard's events are what is written with every line, to the disk itself."""
    fsync, written = os.fsync, []

    def full(descriptor):
        if "tfevents" in os.readlink(f"/proc/self/fd/{descriptor}"):
            written.append(descriptor)
            if len(written) > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        UserError,
        match=r"metrics.jsonl, or the events .*: No space left on device; step \d is saved, from",
    ):
        train_and_evaluate(changed(config, log_every=1, checkpoint_every=1), tmp_path / "run")


SECOND = """
import os, signal, time
from gcn_jax.training.interruption import Interruption
with Interruption() as interruption:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.signal == signal.SIGINT
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        print("not reached")
"""


def test_second_ctrl_c_ends_at_once_without_a_traceback():
    ended = subprocess.run([sys.executable, "-c", SECOND], capture_output=True, text=True)
    assert ended.returncode == 130
    assert ended.stdout == ""
    assert ended.stderr.strip().splitlines() == [
        "stopping after this step; Ctrl-C again to end at once, unsaved",
        "",
        "ended at once; what was saved before is whole",
    ]


#: A thread that waits in C for ever, as in a compiler: no handler of Python runs.
STUCK = """
import contextlib, ctypes, os, signal, sys, threading, time
from gcn_jax.training.interruption import Interruption
mutex = ctypes.create_string_buffer(64)
numbers = [getattr(signal, name) for name in sys.argv[2:]]
def send():
    for number in numbers:
        os.kill(os.getpid(), number)
        time.sleep(0.1)
with Interruption() as interruption:
    may_end = sys.argv[1] != "elsewhere"
    def end():
        if sys.argv[1] == "saving is slow, and the main thread comes back":
            ctypes.CDLL(None).pthread_mutex_unlock(mutex)
            time.sleep(1)
        print("saved", interruption.signal.name)
    with interruption.at_once(end) if may_end else contextlib.nullcontext():
        threading.Timer(0.2, send).start()
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


@pytest.mark.parametrize(
    ("where", "names", "code", "said"),
    [
        ("in a block", ["SIGTERM"], 143, "saved SIGTERM\n"),
        ("in a block", ["SIGINT", "SIGINT"], 130, ""),
        ("saving is slow, and the main thread comes back", ["SIGINT"], 130, "saved SIGINT\n"),
        ("elsewhere", ["SIGTERM", "SIGINT"], 130, ""),
    ],
)
def test_signals_are_obeyed_where_python_cannot_run(where, names, code, said):
    ended = subprocess.run(
        [sys.executable, "-c", STUCK, where, *names], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (code, said)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_block_that_waits_and_nothing_else(number):
    with Interruption() as interruption:
        with pytest.raises(Interrupted), interruption.at_once(print):
            os.kill(os.getpid(), number)
        assert interruption.signal == number
        with pytest.raises(Interrupted), interruption.at_once(print):
            raise AssertionError("the signal was there before")
