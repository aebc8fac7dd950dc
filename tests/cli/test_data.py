"""`gcn-jax data` as a user types it."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from gcn_jax.cli.main import main
from tests.helpers.small_data import parallel_folders


def run(*arguments, cwd, code=0):
    command = [sys.executable, "-m", "gcn_jax", "data", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def test_validate_says_what_is_wrong_by_its_exit_code(tmp_path):
    parallel_folders(tmp_path / "mine", 3, ("train", "val"))
    data = f"--data_dir={tmp_path / 'data'}"
    Image.new("RGB", (40, 32), "red").save(tmp_path / "mine/masks/val/1.png")
    arguments = ("validate", "folder", "--manual_dir=mine", data, "--json=found.json")
    out, err = run(*arguments, cwd=tmp_path, code=1)
    assert "colour mask: 1\n  [val] mine/masks/val/1.png: a colour image (mode RGB)" in out
    assert err == ""
    (problem,) = json.loads((tmp_path / "found.json").read_text())["problems"]
    assert (problem["kind"], problem["split"]) == ("colour mask", "val")


def test_show_writes_a_page(tmp_path):
    parallel_folders(tmp_path / "mine", 3, ("train", "val"))
    out, _ = run(
        "show", "mine:val", "--augmented", "--config.augment.crop_size=(24,20)", "--num_images=5",
        f"--data_dir={tmp_path / 'data'}", "--output=page.html", cwd=tmp_path,
    )  # fmt: skip
    assert out.endswith("wrote page.html\n")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure>") == 5
    assert "(24, 20)" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shapes", "--config=quickstart"], "show needs either one NAME"),
        (["--config=configs/none.py"], "configs/none.py: no such file"),
        (
            ["shapes", "--augmented", "--config.augment.crop=1"],
            "there is no setting 'augment.crop'",
        ),
        (["folder"], "folder: name the folder of your data with --config.data.manual_dir"),
    ],
)
def test_what_cannot_be_shown_gets_one_line_and_exit_code_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["data", "show", *arguments])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def test_a_setting_is_advised_as_the_verb_takes_it(capsys):
    with pytest.raises(SystemExit):
        main(["data", "validate", "folder"])
    assert "name the folder of your data with --manual_dir" in capsys.readouterr().err


def test_both_spellings_of_where_the_data_is_are_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    parallel_folders(tmp_path / "mine", 3, ("train", "val"))
    places = ("--data_dir=data", "--manual_dir=mine", "--num_images=2")
    main(["data", "show", "folder:val", *places, "--output=a.html"])
    settings = [place.replace("--", "--config.data.") for place in places[:2]]
    main(["data", "show", "folder:val", *settings, *places[2:], "--output=b.html"])
    assert capsys.readouterr().out.splitlines()[-2:] == ["wrote a.html", "wrote b.html"]
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
