"""What every verb does before its own work."""

import os
import signal
import subprocess
import sys

import pytest

from gcn_jax.cli import predict, process, train
from gcn_jax.errors import UserError

SCRIPT = """
import jax
from gcn_jax.cli import process
process.run_script(lambda arguments: print(jax.config.jax_compilation_cache_dir))
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


COMPILED = """
import jax
import jax.numpy as jnp
from gcn_jax.cli import process
from gcn_jax.models.layers import convolve

def main(arguments):
    x, kernel = jnp.ones((2, 16, 16, 32)), jnp.ones((3, 3, 32, 32))
    program = jax.jit(lambda x, k: convolve(x, k, 1, (1, 1), 1)).lower(x, kernel).compile()
    print("ynn" in program.as_text())

process.run_script(main)
"""


YNNPACK = "--xla_cpu_experimental_ynn_fusion_type"


@pytest.mark.parametrize(
    ("flags", "by_ynnpack"),
    [
        (None, "False"),
        (f"{YNNPACK}=LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION", "True"),
    ],
)
def test_xla_computes_convolutions_itself_unless_told_otherwise(flags, by_ynnpack):
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    environment |= {"XLA_FLAGS": flags} if flags else {}
    environment["PYTHONPATH"] = os.pathsep.join([os.getcwd(), *sys.path])
    out = subprocess.check_output([sys.executable, "-c", COMPILED], env=environment, text=True)
    assert out.strip() == by_ynnpack


@pytest.mark.parametrize(
    ("verb", "words"),
    [(predict, ["--ckpt=a", 5000 * "x"]), (train, [f"--config={5000 * 'x'}", "--workdir=a"])],
)
def test_a_word_too_long_for_the_name_of_a_file_is_said(verb, words):
    with pytest.raises(UserError, match=r"^x{80}... is too long for the name of a file$"):
        process.call(verb, words)


def test_a_reader_that_has_gone_gets_one_line():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gcn_jax", "configs"]
    process = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    both = subprocess.run(command, stdout=writer, stderr=writer, check=False)
    os.close(writer)
    assert process.returncode == both.returncode == 128 + signal.SIGPIPE
    assert process.stderr == "stopped: nobody reads the output any more\n"
