import dataclasses

import pytest

from gcn_jax.report.facts import changes, duration, session_facts, session_rows
from gcn_jax.sessions import Session
from gcn_jax.training.config import default_settings

SESSION = Session(
    started="2026-03-01T10:00:00+00:00",
    ended="2026-03-01T10:02:16+00:00",
    command=[],
    folder="/",
    devices="1 x cpu",
    cpu="a processor",
    num_cores=2,
    memory=8 * 2**30,
    versions={"python": "3.11.2", "jax": "0.10.2"},
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.6, "1 min 0 s"),
        (136, "2 min 16 s"),
        (3 * 3600 + 59, "3 h 0 min"),
        (2 * 86_400 + 3 * 3600 + 59 * 60, "2 d 3 h"),
    ],
)
def test_durations_have_their_two_largest_units(seconds, text):
    assert duration(seconds) == text


def test_one_session_is_told_whole():
    assert session_facts([SESSION]) == {
        "date": "2026-03-01 10:00 to 10:02 UTC",
        "duration": "2 min 16 s",
        "hardware": "1 x cpu; a processor, 2 cores, 8 GiB",
        "versions": "python 3.11.2, jax 0.10.2",
    }
    assert session_facts([]) == {}


def test_sessions_add_up_and_killed_ones_are_counted():
    killed = dataclasses.replace(SESSION, ended=None, num_cores=1)
    later = dataclasses.replace(SESSION, first_step=300, devices="1 x H100")
    facts = session_facts([SESSION, killed, later])
    tomorrow = dataclasses.replace(SESSION, ended="2026-03-02T09:00:00+01:00")
    dates = [session_facts([one])["date"] for one in (killed, tomorrow)]
    assert dates == [
        "2026-03-01 10:00 UTC to ?",
        "2026-03-01 10:00 UTC to 2026-03-02 09:00 UTC+01:00",
    ]
    assert facts["duration"] == "4 min 32 s, 3 starts, 1 without a recorded end"
    assert facts["hardware"].startswith("1 x H100; ")
    rows = session_rows([SESSION, killed, later])
    assert [row["took"] for row in rows] == ["2 min 16 s", "?", "2 min 16 s"]
    assert [row["from step"] for row in rows] == ["0", "0", "300"]
    assert rows[1]["on"] == "1 x cpu; a processor, 1 core, 8 GiB"


def test_only_settings_that_differ_are_changes():
    defaults = default_settings("gcn_resnet50")
    assert changes(defaults, defaults) == []
    settings = defaults | {
        "optimizer.learning_rate": 0.5,
        "augment.crop_size": [64, 96],
        "of_a_newer_version": True,
    }
    del settings["seed"]  # of an older version: the default
    assert sorted(changes(settings, defaults)) == [
        ("augment.crop_size", "64, 96", "128, 128"),
        ("of_a_newer_version", "True", "–"),
        ("optimizer.learning_rate", "0.5", "0.01"),
    ]
