"""Files of the hub at a revision, from its cache, without a network."""

import pytest

from gcn_jax.errors import UserError
from gcn_jax.hub import hub_file
from tests.helpers.fake_hub import FakeHub


def test_a_source_with_a_revision_stands_for_its_bytes(tmp_path, monkeypatch):
    hub = FakeHub(tmp_path, monkeypatch)
    old, new = 40 * "b", 40 * "c"
    (hub.folder("me/mine", old, "v1") / "config.json").write_text("old")
    (hub.folder("me/mine", new, "main") / "config.json").write_text("new")
    for revision, text in (("", "new"), ("@v1", "old"), (f"@{old}", "old"), ("@main", "new")):
        assert hub_file(f"hf://me/mine{revision}", "config.json").read_text() == text
    with pytest.raises(UserError, match="hf://me/mine@v2: config.json cannot be had"):
        hub_file("hf://me/mine@v2", "config.json")
    with pytest.raises(UserError, match="hf://me/mine@: there is no revision after the @"):
        hub_file("hf://me/mine@", "config.json")
