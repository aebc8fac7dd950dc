"""The rooms of the house: who may import whom, held by import-linter (setup.cfg)."""

from pathlib import Path

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_arrows_point_down():
    config = Path(__file__).parents[1] / "setup.cfg"
    assert lint_imports(str(config), no_cache=True, no_logo=True) == EXIT_STATUS_SUCCESS
