"""The rooms of the house: who may import whom, held by import-linter (setup.cfg)."""

import re
from pathlib import Path

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_arrows_point_down():
    config = Path(__file__).parents[1] / "setup.cfg"
    assert lint_imports(str(config), no_cache=True, no_logo=True) == EXIT_STATUS_SUCCESS


def test_tests_share_only_their_helpers():
    """What two files of tests need lies in tests/helpers/; fuzzing is a program of its own."""
    root = Path(__file__).parent
    files = sorted(root.rglob("*.py"))
    shared = [
        f"{path.name}: {line}"
        for path in files
        for line in re.findall(r"^(?:from|import) tests\b.*", path.read_text(), re.M)
        if not line.startswith("from tests.helpers")
        if not (line.startswith("from tests.fuzz") and path.is_relative_to(root / "fuzz"))
    ]
    assert not shared
