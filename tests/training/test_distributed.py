"""Several processes, as on several hosts: the run that one makes, and none outlives another."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gcn_jax.training.processes import LOST_CODE

ROOT = Path(__file__).parent.parent.parent


def start(cwd, voc_folder, workdir, *flags, **settings):
    settings = {
        "data.manual_dir": voc_folder,
        "data.data_dir": cwd / "data",
        "model.name": "_tiny",
        "model.kernel_size": 5,
        "backbone_weights": "None",
        "batch_size": 4,
        "augment.crop_size": "(32,48)",
        "num_steps": 4,
        "log_every": 1,
        "eval_every": 2,
        "checkpoint_every": 2,
        "eval_batch_size": 4,
        "optimizer.warmup_steps": 0,
    } | settings
    command = [sys.executable, ROOT / "train.py", "--config", ROOT / "configs/folder.py"]
    command += [f"--workdir={cwd / workdir}"]
    command += [f"--config.{key}={value}" for key, value in settings.items()]
    devices = f"--xla_force_host_platform_device_count={1 if flags else 2}"
    return subprocess.Popen(
        [*map(str, command), *flags],
        cwd=cwd,
        env={**os.environ, "XLA_FLAGS": devices},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_all(cwd, voc_folder, count, *flags, indices=None, only=None, **settings):
    """Start several processes of one run; `only` are settings of the last of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [
        start(
            cwd,
            voc_folder,
            "run",
            f"--coordinator={address}",
            f"--num_processes={count}",
            f"--process_id={i}",
            *flags,
            **settings | ((only or {}) if i == count - 1 else {}),
        )
        for i in (range(count) if indices is None else indices)
    ]


def finish(process, code=0):
    """Wait for the end of a process; return what it printed: output, errors."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"{out}\n{err}"
    return out, err


def told(errors):
    """The lines on standard error, without those of a machine on which the others start late."""
    return [line for line in errors.splitlines() if not line.startswith("waiting for")]


def metrics(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_train_as_one(voc_folder, tmp_path):
    finish(start(tmp_path, voc_folder, "one"))
    outputs = [finish(process) for process in start_all(tmp_path, voc_folder, 2)]
    assert "report.html" in outputs[0][0]
    assert "report.html" not in outputs[1][0]
    assert told(outputs[1][1]) == []
    one, two = metrics(tmp_path / "one"), metrics(tmp_path / "run")
    assert len(one) == len(two) == 4
    for key in ("train/loss", "val/miou"):
        values = [[line[key] for line in lines if key in line] for lines in (one, two)]
        np.testing.assert_allclose(values[0], values[1], rtol=1e-3)


LONG = {
    "batch_size": 6,
    "num_steps": 100_000,
    "log_every": 10,
    "eval_every": 100_000,
    "checkpoint_every": 10,
}


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 2])
def test_one_that_is_killed_ends_the_others_with_a_line(voc_folder, tmp_path, victim):
    processes = start_all(tmp_path, voc_folder, 3, **LONG)
    while not (tmp_path / "run/checkpoints/10").exists():
        assert processes[victim].poll() is None, processes[victim].communicate()
        time.sleep(0.1)
    processes[victim].kill()
    killed = time.monotonic()
    finish(processes.pop(victim), -signal.SIGKILL)
    for process in processes:
        _, err = finish(process, LOST_CODE)
        (line,) = told(err)
        assert re.fullmatch(
            rf"process {victim} of 3 is gone; step \d+0 is saved, from which the same command on "
            "all hosts goes on",
            line,
        )
    assert time.monotonic() - killed < 30
    resumed = start_all(tmp_path, voc_folder, 3, **LONG | {"log_every": 100_000})
    for line in resumed[0].stdout:
        if "resuming" in line:
            break
    resumed[1].send_signal(signal.SIGTERM)
    assert "is saved, from which the same command goes on" in finish(resumed[0], 143)[0]
    for process in resumed[1:]:
        finish(process, 143)


@pytest.mark.slow
def test_a_mistake_of_one_keeps_its_code_and_ends_the_others(voc_folder, tmp_path):
    first, last = start_all(tmp_path, voc_folder, 2, only={"num_devices": 99})
    _, err = finish(last, 2)
    wrong = time.monotonic()
    assert told(err) == ["error: num_devices is 99; there are 2 devices"]
    _, err = finish(first, LOST_CODE)
    assert time.monotonic() - wrong < 30
    assert told(err) == [
        "process 1 of 2 is gone; nothing is saved yet; start the same command on all hosts again"
    ]


@pytest.mark.slow
def test_a_mistake_of_all_is_no_loss(voc_folder, tmp_path):
    for process in start_all(tmp_path, voc_folder, 2, num_devices=99):
        _, err = finish(process, 2)
        assert told(err) == ["error: num_devices is 99; there are 2 devices"]


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0, 2])
def test_one_that_does_not_come_is_named(voc_folder, tmp_path, missing):
    there = [index for index in range(3) if index != missing]
    for process in start_all(tmp_path, voc_folder, 3, "--patience=30", indices=there):
        _, err = finish(process, LOST_CODE)
        assert re.match(r"waiting for .* of 3.*; giving up in 20 s\n", err)
        (line,) = told(err)
        assert re.match(rf"process {missing} of 3.* did not come within 30 s; start", line)
    assert not (tmp_path / "run").exists()
