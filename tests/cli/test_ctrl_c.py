"""Ctrl-C while libraries are imported, and after that."""

import subprocess
import sys

import pytest

LOSES_IT = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(20)
except BaseException:
    pass
"""
PROGRAM = """
import os, signal, time
from gcn_jax.cli.ctrl_c import end_imports_at_once
end_imports_at_once()
{}
print("goes on")
"""


@pytest.mark.parametrize(
    ("where", "code", "last_line"),
    [("import loses_it", 130, "interrupted"), (LOSES_IT, 0, "")],
    ids=["in an import", "later"],
)
def test_an_import_is_ended_at_once_and_nothing_else(tmp_path, where, code, last_line):
    (tmp_path / "loses_it.py").write_text(LOSES_IT)
    program = [sys.executable, "-c", PROGRAM.format(where)]
    ended = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr.strip()) == (code, last_line)
    assert ended.stdout == ("" if code else "goes on\n")
