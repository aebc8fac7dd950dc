"""Names of classes in the config.json beside a file of weights."""

import json

import pytest

from gcn_jax.weights.published.labels import read_class_names
from tests.helpers.fake_hub import FakeHub

LABELS = {"0": "road", "1": "sky"}


def test_names_lie_beside_a_file(tmp_path):
    path = tmp_path / "model.safetensors"
    assert read_class_names(str(path), 2) is None
    (tmp_path / "config.json").write_text(json.dumps({"id2label": LABELS}))
    assert read_class_names(str(path), 2) == ("road", "sky")
    assert read_class_names(str(path), 3) is None


def test_names_lie_in_a_repository(tmp_path, monkeypatch):
    folder = FakeHub(tmp_path, monkeypatch).folder("somebody/net")
    assert read_class_names("hf://somebody/net", 2) is None
    (folder / "config.json").write_text(json.dumps({"id2label": LABELS}))
    (folder / "small").mkdir()
    (folder / "small/config.json").write_text(json.dumps({"id2label": LABELS | {"2": "tree"}}))
    for address in ("hf://somebody/net", "hf://somebody/net@main/model.safetensors"):
        assert read_class_names(address, 2) == ("road", "sky")
    assert read_class_names("hf://somebody/net/small/a.pth", 3) == ("road", "sky", "tree")


@pytest.mark.parametrize(
    "config",
    [
        "[]",
        "no JSON",
        "{}",
        '{"id2label": ["a", "b"]}',
        '{"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}',
        '{"id2label": {"0": "a", "1": 7}}',
        '{"id2label": {"0": "a", "1": " "}}',
        '{"id2label": {"1": "a", "2": "b"}}',
    ],
)
def test_what_names_nothing_is_passed_over(tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    assert read_class_names(str(tmp_path / "model.safetensors"), 2) is None
