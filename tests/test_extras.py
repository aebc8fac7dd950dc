"""`pip install gcn-jax` alone: what it can do, and what it says about the rest."""

import configparser
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import safetensors.numpy
from PIL import Image

from gcn_jax import extras
from gcn_jax.errors import UserError
from tests.helpers.published_networks import small_fcn

#: A process in which the packages of all extras are missing.
WITHOUT_EXTRAS = """
import sys
from gcn_jax.extras import EXTRAS

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def test_every_package_of_an_extra_is_known_and_needed_by_no_other():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg")

    def names(section, key):
        return {
            re.split(r"[<>=]", line)[0].lower().replace("_", "-")
            for line in setup[section][key].split("\n")
            if line
        }

    base = names("options", "install_requires")
    of_module = packages_distributions()
    for extra in set(extras.EXTRAS.values()):
        there = {module for module, its in extras.EXTRAS.items() if its == extra}
        listed = names("options.extras_require", extra)
        if not there & of_module.keys():
            continue  # a tracker's, which the tests do without
        known = {of_module[module][0].lower().replace("_", "-") for module in there}
        # What brings it anyway, Flax and Orbax, needs no word.
        assert known == listed - {"pyyaml"}
        assert not known & base


def test_what_is_missing_is_said_with_the_command():
    words = r"needs grain\.x, .*; pip install 'gcn-jax\[train\]'"
    with pytest.raises(UserError, match=words), extras.explained():
        raise ModuleNotFoundError("No module named 'grain.x'", name="grain.x")
    with pytest.raises(ModuleNotFoundError, match="ours"), extras.explained():
        raise ModuleNotFoundError("No module named 'gcn_jax.ours'", name="gcn_jax.ours")


def run(code, cwd):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", WITHOUT_EXTRAS + code]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_inference_needs_no_extra(tmp_path):
    """An imported network predicts, is verified and exported, and runs without the workdir."""
    safetensors.numpy.save_file(small_fcn(32, 21), tmp_path / "fcn32s.safetensors")
    Image.new("RGB", (70, 50), "teal").save(tmp_path / "photo.png")
    done = run(
        """
import numpy as np
from PIL import Image
from gcn_jax import evaluation, export, inference, models, report, training
from gcn_jax.cli.main import main

main(["import", "fcn32s.safetensors", "--workdir=run"])
main(["predict", "--ckpt=run", "photo.png", "--scales=0.5,1"])
main(["verify", "run"])
main(["export", "--ckpt=run", "--output=run.stablehlo", "--images=photo.png"])
main(["configs"])
image = np.asarray(Image.open("photo.png"))
labels = models.predict(*models.from_pretrained("run"), image)
program = export.load("run.stablehlo")
assert labels.shape == (50, 70)
assert len(np.unique(Image.open("predictions/photo.png"))) <= 21
print(program.class_names[:2])
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "('background', 'aeroplane')"


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--config=quickstart", "--workdir=new"],
        ["data", "validate", "folder"],
        ["analysis", "complexity"],
    ],
    ids=" ".join,
)
def test_other_verbs_say_what_to_install(words, tmp_path):
    (tmp_path / "folder").mkdir()
    done = run(f"from gcn_jax.cli.main import main\nmain({words})", tmp_path)
    assert done.returncode == 2
    assert "pip install 'gcn-jax[train]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()
