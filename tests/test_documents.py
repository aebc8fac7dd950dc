"""The Python of README and docs runs as it is pasted."""

import re
import runpy

import pytest

from tests.helpers.runs import write_quickstart
from tests.helpers.verbs import ROOT

PAGES = [
    "README.md",
    "docs/getting_started.md",
    pytest.param("docs/nnx.md", marks=pytest.mark.slow),
]


def blocks_of(text):
    """Return the blocks of Python in a page, as one program."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S))


@pytest.mark.parametrize("page", PAGES)
def test_blocks_run_as_pasted(page, tmp_path, monkeypatch):
    write_quickstart(tmp_path / "runs/quickstart")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pasted.py").write_text(blocks_of((ROOT / page).read_text()))
    names = runpy.run_path("pasted.py")
    if page == "docs/nnx.md":
        assert names["logits"].shape == (1, 32, 48, 3)
    else:
        assert names["logits"].shape == (1, 65, 97, 21)
        assert names["labels"].shape == names["image"].shape[:2]


def test_the_readme_has_two_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110
