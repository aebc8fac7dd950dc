"""The rooms of the house: who may import whom, held by import-linter (setup.cfg)."""

import re
from pathlib import Path

import grimp
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from gcn_jax.models.registry import NETWORKS


def test_arrows_point_down():
    config = Path(__file__).parents[1] / "setup.cfg"
    assert lint_imports(str(config), no_cache=True, no_logo=True) == EXIT_STATUS_SUCCESS


def test_networks_import_no_network_and_nothing_below_imports_one():
    """The layer of setup.cfg that would list every network, from the registry."""
    graph = grimp.build_graph("gcn_jax", cache_dir=None)
    above = {"gcn_jax.models", "gcn_jax.models.registry"}
    for network in (file.__name__ for _, file in NETWORKS):
        importers = graph.find_modules_that_directly_import(network)
        assert "gcn_jax.models.registry" in importers
        assert {name for name in importers if name.startswith("gcn_jax.models")} <= above
        imported = graph.find_modules_directly_imported_by(network)
        assert not imported & above
        assert not any(name.startswith("gcn_jax.models.pretrained") for name in imported)


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
