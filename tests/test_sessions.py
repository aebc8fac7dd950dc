import dataclasses
import json
import platform
from types import SimpleNamespace

import pytest

from gcn_jax.errors import UserError
from gcn_jax.sessions import Session
from gcn_jax.workdir import Workdir

SESSION = Session(
    started="2026-03-01T10:00:00+01:00",
    ended="2026-03-01T10:02:16+01:00",
    command=["gcn-jax", "train", "--config", "quickstart"],
    folder="/home/me",
    devices="1 x cpu",
    cpu="a processor",
    num_cores=2,
    memory=2**33,
    versions={"python": "3.11.2", "jax": "0.10.2"},
)


def test_session_says_what_runs_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    chips = [SimpleNamespace(device_kind=kind) for kind in ("H100", "H100", "cpu")]
    session = Session.begin(("gcn-jax", "train"), chips)
    assert (session.command, session.folder) == (["gcn-jax", "train"], str(tmp_path))
    assert session.devices == "2 x H100, 1 x cpu"
    assert session.versions["python"] == platform.python_version()
    assert {"gcn_jax", "jax", "jaxlib", "flax"} <= session.versions.keys()
    assert session.cpu
    assert session.num_cores >= 1
    assert session.seconds is None
    assert 0 <= session.end().seconds < 60


def test_sessions_are_read_as_they_were_written(tmp_path):
    folder = Workdir(tmp_path)
    assert folder.read_sessions() == []  # of a run of an older version
    running = dataclasses.replace(SESSION, ended=None, first_step=300)
    folder.write_sessions([SESSION, running])
    assert folder.read_sessions() == [SESSION, running]
    assert SESSION.seconds == 136


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"started": "yesterday"}, "yesterday"),
        ({"ended": "2026-03-01"}, "without a zone"),
        ({"started": None}, "started is None"),
        ({"command": ["gcn-jax", 3]}, r"command is \['gcn-jax', 3\]"),
        ({"versions": "new"}, "versions is 'new'"),
        ({"first_step": 1.5}, r"first_step is 1\.5"),
    ],
)
def test_damage_is_named(tmp_path, change, message):
    folder = Workdir(tmp_path)
    values = {"sessions": [dataclasses.asdict(SESSION) | change]}
    folder.sessions_file.write_text(json.dumps(values))
    with pytest.raises(UserError, match=rf"sessions\.json is damaged: .*{message}"):
        folder.read_sessions()


@pytest.mark.parametrize("content", ["{", "[]", '{"sessions": 3}', '{"sessions": [3]}'])
def test_other_files_are_no_sessions(tmp_path, content):
    folder = Workdir(tmp_path)
    folder.sessions_file.write_text(content)
    with pytest.raises(UserError, match=r"sessions\.json is damaged"):
        folder.read_sessions()
