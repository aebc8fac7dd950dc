"""The verbs as a user types them: processes of their own, in a folder of their own."""

import subprocess
import sys
from pathlib import Path

#: The folder of the checkout, in which train.py, evaluate.py and predict.py lie.
ROOT = Path(__file__).parents[2]


def start(verb: str, *arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """Start a script of the checkout, or with "-m" a module, and return its process.

    Args:
        verb: Such as "train.py", or "-m".
        *arguments: What follows on the command line.
        cwd: The folder in which it runs.
    """
    return subprocess.Popen(
        [sys.executable, verb if verb == "-m" else str(ROOT / verb), *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(verb: str, *arguments: object, cwd: Path, code: int = 0) -> tuple[str, str]:
    """Run a script of the checkout to its end and return what it printed: output, errors.

    Args:
        verb: Such as "train.py", or "-m".
        *arguments: What follows on the command line.
        cwd: The folder in which it runs.
        code: The exit code that it must have.
    """
    process = start(verb, *arguments, cwd=cwd)
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"{out}\n{err}"
    return out, err
