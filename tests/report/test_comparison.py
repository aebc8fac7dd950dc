import dataclasses
import json
import re

import numpy as np
import pytest

from gcn_jax.cli import compare as verb
from gcn_jax.cli import process
from gcn_jax.errors import UserError
from gcn_jax.evaluation.metrics import Scores, class_sums
from gcn_jax.evaluation.results import result_json
from gcn_jax.sessions import Session

NAMES = ("background", "cat", "a & <dog>")


def write(path, right, settings, session=None):
    """Write the result of 40 images of 300 pixels of cats, of which some are right."""
    matrices = np.zeros((40, 3, 3), np.int64)
    matrices[:, 0, 0] = 1000
    matrices[:, 1, 1], matrices[:, 1, 0] = right, 300 - right
    ids = [str(number) for number in range(40)]
    values = result_json(NAMES, Scores(matrices.sum(axis=0)), ids, class_sums(matrices))
    values |= {"settings": settings} if settings else {}
    values |= {"session": session} if session else {}
    path.write_text(json.dumps(values))


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    right = np.random.default_rng(0).integers(100, 200, 40)
    session = dataclasses.asdict(Session.begin(["gcn-jax", "evaluate"], []).end())
    settings = {"checkpoint": "runs/a", "step": 5, "split": "fake:val", "flip": False}
    for name, rate in (("a", 0.1), ("b b", 0.2)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        config = {"optimizer": {"learning_rate": rate}, "seed": 0}
        (folder / "config.json").write_text(json.dumps(config))
    write(tmp_path / "a.json", right, settings, session)
    other = settings | {"checkpoint": "runs/b b", "flip": True}
    write(tmp_path / "b.json", right + 50 + np.arange(40) % 7, other, session)
    process.call(verb, ["a.json", "b.json", "--report", "page.html"])
    return (tmp_path / "page.html").read_text()


def rows_of(text):
    """The texts of the cells of each line of a table."""
    lines = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    return [re.findall(r"<t[dh][^>]*>([^<]*)<", line) for line in lines]


def test_page_shows_each_class_and_the_mean(page):
    rows = {row[0]: row for row in rows_of(page)}
    assert rows["cat"][1] == "40"
    assert rows["cat"][4].startswith("+")
    assert rows["cat"][-1] == "better"
    assert rows["a &amp; &lt;dog&gt;"][2:5] == ["–"] * 3
    assert page.count('class="better"') == 2  # the cats, and the background, which gains by it
    assert "over 2 of 3 classes" in page


def test_bar_of_a_better_class_goes_to_the_right(page):
    line = next(line for line in page.split("<tr>") if "<th>cat<" in line)
    left, right, low, high = map(float, re.findall(r"--\w+: ([\d.]+)%", line))
    assert left == 50 < low < right < high <= 100


def test_page_names_both_runs_and_what_differs_between_them(page, tmp_path):
    assert f"{tmp_path}/runs/b b, step 5" in page
    assert ["evaluation.flip", "False", "True"] in rows_of(page)
    assert ["optimizer.learning_rate", "0.1", "0.2"] in rows_of(page)
    assert "seed" not in [row[0] for row in rows_of(page) if row]


def test_page_names_the_next_commands_and_its_own(page, tmp_path):
    text = page.replace("&#39;", "'").replace("&amp;", "&")
    assert f"cd {tmp_path} && gcn-jax compare a.json b.json --report page.html" in text
    assert f"gcn-jax evaluate --ckpt {tmp_path}/runs/a --report a.html" in text
    assert f"gcn-jax predict --ckpt '{tmp_path}/runs/b b'" in text


def test_results_of_older_versions_are_compared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        write(tmp_path / f"{name}.json", np.full(40, 150), None)
    process.call(verb, ["a.json", "b.json", "--report", "page.html"])
    text = (tmp_path / "page.html").read_text()
    assert "None that is known." in text
    assert "Next" not in text
    assert "within noise" in text


def test_damaged_session_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.json", np.full(40, 150), {}, {"started": 3})
    with pytest.raises(UserError, match=r"a\.json is damaged: session: started is 3"):
        process.call(verb, ["a.json", "a.json"])
