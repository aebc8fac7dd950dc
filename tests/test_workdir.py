"""The folder of a run: its readers, and its one writer."""

import contextlib
import errno
import json
import re
import socket
import subprocess
import sys
import time

import psutil
import pytest

from gcn_jax import models
from gcn_jax.errors import UserError
from gcn_jax.workdir import Workdir

INFO = {
    "name": "_tiny",
    "fields": {"num_classes": 2},
    "class_names": ["a", "b"],
    "palette": [[0, 0, 0], [255, 0, 0]],
    "mean": [0.0, 0.5, 1.0],
    "std": [1.0, 2.0, 3.0],
}


def test_what_is_written_is_read(tmp_path):
    folder = Workdir(tmp_path)
    folder.config_file.write_text('{"data": {"train": ["x:train"], "val": "x:val"}}')
    folder.metrics_file.write_text('{"step": 1, "train/loss": 0.5}\n{"step": 2}\n{"step": 3')
    assert folder.read_config()["data"]["val"] == "x:val"
    assert folder.read_metrics() == [{"step": 1, "train/loss": 0.5}, {"step": 2}]
    assert Workdir(tmp_path / "none").read_metrics() == []


def test_metrics_that_are_no_text_are_named(tmp_path):
    folder = Workdir(tmp_path)
    folder.metrics_file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 1"):
        folder.read_metrics()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "0",
        "[]",
        "null",
        '{"data": 3}',
        '{"data": {"val": "a:b"}}',
        '{"data": {"val": 3, "train": []}}',
        '{"data": {"val": "a:b", "train": ["a:b"]}, "eval_batch_size": 0}',
        '{"data": {"val": "a:b", "train": ["a:b"], "data_dir": 5}}',
        "[" * 100_000,
    ],
)
def test_damaged_settings_are_named(tmp_path, content):
    folder = Workdir(tmp_path)
    folder.config_file.write_text(content)
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        folder.read_config()


@pytest.mark.parametrize(
    "line",
    ["x", "\0", "[]", "3", "{}", '{"step": "one"}', '{"step": null}', '{"step": 1, "a": []}'],
)
def test_damaged_metrics_are_named_by_their_line(tmp_path, line):
    folder = Workdir(tmp_path)
    folder.metrics_file.write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 2"):
        folder.read_metrics()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", []),
        ("name", None),
        ("fields", [1]),
        ("fields", {}),
        ("class_names", ["a"]),
        ("class_names", ["a", "a"]),
        ("class_names", ["a", ""]),
        ("class_names", ["a", 3]),
        ("class_names", "ab"),
        ("fields", {"num_classes": 2.0}),
        ("palette", [[0, 0, 0]]),
        ("palette", [[0, 0, 0], [0, 0, 256]]),
        ("palette", [[0, 0, 0], [0, 0]]),
        ("palette", [[0, 0, 0], [0, 0, True]]),
        ("mean", [0, 0]),
        ("mean", [0, 0, float("nan")]),
        ("mean", "abc"),
        ("mean", [0, 0, 10**400]),
        ("std", [1, 1, 0]),
        ("std", [1, 1, float("inf")]),
        ("std", None),
    ],
)
def test_values_of_a_model_that_make_no_sense_are_named(tmp_path, key, value):
    folder = Workdir(tmp_path)
    folder.model_file.write_text(json.dumps(INFO))
    assert models.read_info(tmp_path).class_names == ("a", "b")
    folder.model_file.write_text(json.dumps(INFO | {key: value}))
    named = "class_names" if key == "fields" and isinstance(value, dict) else key
    with pytest.raises(UserError, match=rf"model\.json is damaged: {named} is "):
        models.read_info(tmp_path)


HOLD = """
import sys
from gcn_jax.workdir import Workdir
with Workdir(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_workdir_has_one_writer_and_a_dead_one_is_none(tmp_path):
    path = tmp_path / "run"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        scores = path / "checkpoints/60/metrics"
        scores.mkdir(parents=True)
        (path / f".config.json.{other.pid}.tmp").touch()
        (scores / f".metrics.{other.pid}.tmp").touch()
        with (
            pytest.raises(UserError, match=rf"written by process {other.pid} on "),
            Workdir(path).lock(),
        ):
            pass
        other.kill()
        other.wait()
    with Workdir(path).lock():
        # What the dead one left is gone.
        assert [*path.rglob(".*")] == [path / ".lock"]


@pytest.mark.parametrize(
    ("host", "pid_offset", "seconds", "refused"),
    [("", 0, 0, True), ("", 0, 60, False), ("", 4_000_000, 0, False), ("-2", 0, 0, True)],
    ids=["alive", "its number was given anew", "dead", "of another host"],
)
def test_without_locks_the_file_says_who_writes(
    tmp_path, monkeypatch, host, pid_offset, seconds, refused
):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("gcn_jax.workdir.fcntl.flock", no_locks)
    process = psutil.Process()
    started = time.localtime(process.create_time() - seconds)
    owner = (
        f"process {process.pid + pid_offset} on {socket.gethostname()}{host}, "
        f"since {time.strftime('%Y-%m-%d %H:%M:%S', started)}"
    )
    (tmp_path / ".lock").write_text(owner + "\n")
    message = f"written by {re.escape(owner)}; .* delete {tmp_path / '.lock'}"
    with pytest.raises(UserError, match=message) if refused else contextlib.nullcontext():
        with Workdir(tmp_path).lock():
            assert f"process {process.pid} on" in (tmp_path / ".lock").read_text()
        assert (tmp_path / ".lock").read_text() == ""


def test_a_run_that_failed_at_once_leaves_no_folder(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(ValueError, match="at once"), Workdir(path).lock():
        raise ValueError("at once")
    assert not path.exists()


def test_names_of_files_stand_in_one_place():
    package = Workdir(__file__).path.parents[1] / "gcn_jax"
    for path in package.rglob("*.py"):
        if path.name not in (
            "workdir.py",
            "backbone.py",
            "beside.py",
        ):  # a hub's config.json is not a run's
            code = path.read_text()
            for name in (
                "config.json",
                "model.json",
                "metrics.jsonl",
                "sessions.json",
                "checkpoints",
            ):
                assert f'"{name}"' not in code, f"{path} spells {name}"


def test_a_damaged_source_file_is_named(tmp_path):
    folder = Workdir(tmp_path)
    assert folder.read_origin() is None
    folder.origin_file.write_text('{"source": "a.pth", "sha256": 3}')
    with pytest.raises(UserError, match="source.json is damaged: no text for sha256, family, lic"):
        folder.read_origin()
