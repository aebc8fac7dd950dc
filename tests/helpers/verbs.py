"""The commands as a user types them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def start(verb, *arguments, cwd):
    """Start a script of the checkout, such as train.py, or with "-m" a module."""
    return subprocess.Popen(
        [sys.executable, verb if verb == "-m" else str(ROOT / verb), *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(verb, *arguments, cwd, code=0):
    """Run it to its end, check its exit code, and return what it printed and its errors."""
    process = start(verb, *arguments, cwd=cwd)
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"{out}\n{err}"
    return out, err
