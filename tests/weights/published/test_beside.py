"""What lies beside a file of weights: names of classes, how images are prepared."""

import json

import pytest

from gcn_jax.weights.published.beside import read_class_names, read_preparation_beside
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


PREPARED = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.1, 0.25]}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (512, (512, 512)),
        ({"height": 512, "width": 1024}, (512, 1024)),
        ({"shortest_edge": 448}, None),
        (-1, None),
        ("512", None),
    ],
)
def test_how_images_are_prepared_lies_beside_a_file(tmp_path, size, expected):
    path = tmp_path / "pytorch_model.bin"
    assert read_preparation_beside(str(path)) is None
    settings = tmp_path / "preprocessor_config.json"
    settings.write_text(json.dumps(PREPARED | {"size": size}))
    mean, std = (127.5, 102.0, 76.5), (51.0, 25.5, 63.75)
    assert read_preparation_beside(str(path)) == (mean, std, expected)


@pytest.mark.parametrize("std", [[0.2, 0.1], [0.2, 0, 0.1], "abc", [0.2, float("nan"), 0.1], None])
def test_a_preparation_that_prepares_nothing_is_passed_over(tmp_path, std):
    settings = tmp_path / "preprocessor_config.json"
    settings.write_text(json.dumps(PREPARED | {"image_std": std}))
    assert read_preparation_beside(str(tmp_path / "a.pth")) is None
