"""What is installed: every package, and the files that are no Python."""

import configparser
import subprocess
import sys
from pathlib import Path

import gcn_jax

ROOT = Path(__file__).parents[1]


def metadata():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_every_package_is_listed():
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "gcn_jax").rglob("__init__.py")}
    packages = {".".join(folder.parts) for folder in folders} | {"gcn_jax.configs"}
    assert metadata()["options"]["packages"].split() == sorted(packages)


def test_every_folder_of_the_package_is_a_package():
    folders = {path.parent for path in (ROOT / "gcn_jax").rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_every_file_that_is_no_python_is_package_data():
    data = dict(metadata()["options.package_data"])
    patterns = [
        (ROOT / name.replace(".", "/")).glob(p) for name in data for p in data[name].split()
    ]
    listed = {file for pattern in patterns for file in pattern}
    files = {path for path in (ROOT / "gcn_jax").rglob("*") if path.is_file()}
    assert listed == {f for f in files if f.suffix != ".py" and "__pycache__" not in f.parts}


def test_the_metadata_say_who_and_which_pythons():
    about = metadata()["metadata"]
    assert about["author"] == "The gcn_jax authors"
    assert metadata()["options"]["python_requires"] == ">=3.11"
    for version in ("3.11", "3.12", "3.13"):
        assert f"Programming Language :: Python :: {version}" in about["classifiers"]


def test_a_checkout_that_is_not_installed_has_its_configs(tmp_path):
    code = "from gcn_jax.configs import pspnet; print(pspnet.__file__, pspnet.get_config().seed)"
    path = {"PYTHONPATH": str(Path(gcn_jax.__file__).parents[1]), "JAX_PLATFORMS": "cpu"}
    out = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=path, text=True)
    assert out.split() == [str(ROOT / "configs/pspnet.py"), "0"]
