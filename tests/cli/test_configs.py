"""`gcn-jax configs`: the recipes of the package, and a copy of one."""

import json
import subprocess
import sys

import pytest

from gcn_jax.cli.config_flag import read_config, recipes
from gcn_jax.cli.main import main
from tests.helpers.verbs import ROOT


def test_recipes_are_listed_with_their_first_line(capsys):
    main(["configs"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*recipes()]
    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
    assert told["segnet"] == "SegNet on PASCAL VOC 2012 with SBD (10,582 images)."
    for name, file in recipes().items():
        assert file.read_text().lstrip("r").startswith(f'"""{told[name]}\n')


@pytest.mark.parametrize("name", ["pspnet", "stage2", "fcn8s_staged"])  # they build on others
def test_a_copy_works_outside_the_checkout(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["configs", "copy", name, "mine/recipe.py"])
    assert "gcn-jax train --config mine/recipe.py" in capsys.readouterr().out
    copy = tmp_path / "mine/recipe.py"
    assert copy.read_text() == recipes()[name].read_text()
    code = (
        f"from gcn_jax.cli.config_flag import *; print(read_config(Path({str(copy)!r})).to_json())"
    )
    path = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    out = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=path, text=True)
    assert json.loads(out) == json.loads(read_config(recipes()[name]).to_json())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cpoy", "folder", "a.py"], "unknown verb of gcn-jax configs 'cpoy' (did you mean copy?)"),
        (["copy"], "this verb needs NAME FILE"),
        (["copy", "folder"], "this verb needs NAME FILE"),
        (["copy", "foldr", "a.py"], "unknown recipe 'foldr' (did you mean folder?)"),
        (["copy", "folder", "here.py"], "here.py exists already; name another file"),
        (["copy", "folder", "a.py", "b.py"], "unexpected argument 'b.py'"),
    ],
)
def test_what_cannot_be_copied_gets_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.py").write_text("mine")
    with pytest.raises(SystemExit) as ended:
        main(["configs", *words])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert (tmp_path / "here.py").read_text() == "mine"
    assert not (tmp_path / "a.py").exists()
