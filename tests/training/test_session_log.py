import pytest

from gcn_jax.errors import UserError
from gcn_jax.sessions import Session
from gcn_jax.training.session_log import recorded
from gcn_jax.workdir import Workdir


@pytest.fixture
def folder(tmp_path):
    return Workdir(tmp_path)


def begin(word):
    return Session.begin(["gcn-jax", word], [])


def test_each_start_adds_a_session(folder):
    for step, word in ((0, "one"), (300, "two")):
        with recorded(folder, begin(word), step):
            running = folder.read_sessions()[-1]
            assert (running.command, running.first_step) == (["gcn-jax", word], step)
            assert running.ended is None  # which it stays where the process is killed
    assert [session.command[1] for session in folder.read_sessions()] == ["one", "two"]
    assert all(session.seconds is not None for session in folder.read_sessions())


@pytest.mark.parametrize("error", [SystemExit(130), UserError("the loss is nan")])
def test_however_it_ends_the_time_is_noted(folder, error):
    with pytest.raises(type(error)), recorded(folder, begin("train"), 0):
        raise error
    assert folder.read_sessions()[0].ended is not None


def test_damaged_record_stops_no_run(folder):
    folder.sessions_file.write_text("{")
    with (
        pytest.warns(UserWarning, match=r"sessions\.json is damaged .*begun anew"),
        recorded(folder, begin("train"), 8),
    ):
        pass
    (session,) = folder.read_sessions()
    assert session.first_step == 8
