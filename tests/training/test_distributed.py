"""Two processes, as on two hosts: one run, the same as one process makes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent


def start(cwd, voc_folder, workdir, *flags):
    settings = {
        "data.manual_dir": voc_folder,
        "data.data_dir": cwd / "data",
        "model.name": "_tiny",
        "model.kernel_size": 5,
        "batch_size": 4,
        "augment.crop_size": "(32,48)",
        "num_steps": 4,
        "log_every": 1,
        "eval_every": 2,
        "checkpoint_every": 2,
        "eval_batch_size": 4,
        "optimizer.warmup_steps": 0,
    }
    command = [sys.executable, ROOT / "train.py", "--config", ROOT / "configs/folder.py"]
    command += [f"--workdir={cwd / workdir}"]
    command += [f"--config.{key}={value}" for key, value in settings.items()]
    devices = f"--xla_force_host_platform_device_count={1 if flags else 2}"
    return subprocess.Popen(
        [*map(str, command), *flags],
        cwd=cwd,
        env={**os.environ, "XLA_FLAGS": devices},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return out


def metrics(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_train_as_one(voc_folder, tmp_path):
    finish(start(tmp_path, voc_folder, "one"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    pair = [
        start(
            tmp_path,
            voc_folder,
            "two",
            f"--coordinator={address}",
            "--num_processes=2",
            f"--process_id={i}",
        )
        for i in range(2)
    ]
    outputs = [finish(process) for process in pair]
    assert "report.html" in outputs[0]
    assert "report.html" not in outputs[1]
    one, two = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert len(one) == len(two) == 4
    for key in ("train/loss", "val/miou"):
        values = [[line[key] for line in lines if key in line] for lines in (one, two)]
        np.testing.assert_allclose(values[0], values[1], rtol=1e-3)
