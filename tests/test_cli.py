"""What every verb does before its own work."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import jax
from gcn_jax import cli
cli.run(lambda argv: print(jax.config.jax_compilation_cache_dir))
"""


@pytest.mark.parametrize(
    ("variable", "flag", "folder"),
    [
        (None, None, "home/.cache/gcn_jax"),
        ("named", None, "named"),
        ("named", "--compilation_cache=other", "other"),
        ("named", "--compilation_cache=", None),
    ],
)
def test_compiled_programs_are_kept_where_the_user_says(variable, flag, folder, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment["HOME"] = str(tmp_path / "home")
    if variable:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / variable)
    # Relative to where the user is; the package is found where this process found it.
    environment["PYTHONPATH"] = os.pathsep.join([os.getcwd(), *sys.path])
    out = subprocess.check_output(
        [sys.executable, "-c", SCRIPT, *([flag] if flag else [])],
        cwd=tmp_path,
        env=environment,
        text=True,
    )
    assert out.strip() == (str(tmp_path / folder) if folder else "None")
