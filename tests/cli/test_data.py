"""`gcn-jax data` as a user types it."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from tests.helpers.small_data import parallel_folders


def run(*arguments, cwd, code=0):
    command = [sys.executable, "-m", "gcn_jax", "data", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def test_without_a_verb_all_are_listed(tmp_path):
    out, err = run(cwd=tmp_path, code=2)
    assert out == ""
    for verb in ("prepare", "validate", "show"):
        (line,) = (line for line in err.splitlines() if f"gcn-jax data {verb} " in line)
        assert len(line.split("  ")[-1]) > 20  # what it does


def test_validate_says_what_is_wrong_by_its_exit_code(tmp_path):
    parallel_folders(tmp_path / "mine", 3, ("train", "val"))
    data = f"--data_dir={tmp_path / 'data'}"
    Image.new("RGB", (40, 32)).save(tmp_path / "mine/masks/val/1.png")
    arguments = ("validate", "folder", "--manual_dir=mine", data, "--json=found.json")
    out, err = run(*arguments, cwd=tmp_path, code=1)
    assert "colour mask: 1\n  [val] mine/masks/val/1.png: a colour image (mode RGB)" in out
    assert err == ""
    (problem,) = json.loads((tmp_path / "found.json").read_text())["problems"]
    assert (problem["kind"], problem["split"]) == ("colour mask", "val")


def test_show_writes_a_page(tmp_path):
    parallel_folders(tmp_path / "mine", 3, ("train", "val"))
    out, _ = run(
        "show", "mine:val", "--augmented", "--augment.crop_size=(24,20)", "--num_images=5",
        f"--data_dir={tmp_path / 'data'}", "--output=page.html", cwd=tmp_path,
    )  # fmt: skip
    assert out.endswith("wrote page.html\n")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure>") == 5
    assert "(24, 20)" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["validat", "shapes"], "unknown data verb 'validat' (did you mean validate?)"),
        (["show", "shapes", "--config=quickstart"], "show needs either one NAME"),
        (["show", "--config=configs/none.py"], "configs/none.py: no such file"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(tmp_path, arguments, message):
    _, err = run(*arguments, cwd=tmp_path, code=2)
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
