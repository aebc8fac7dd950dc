"""Backbones as transformers publishes them: a folder of the hub in its exact format."""

import json

import jax
import numpy as np
import pytest
import safetensors.numpy

from gcn_jax.errors import UserError
from gcn_jax.models import create_model
from gcn_jax.models.backbones.mit import MiT
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights import imagenet, load_backbone_weights, read_backbone_preprocessing
from gcn_jax.weights.mit import import_mit
from gcn_jax.weights.pinned import Pinned
from tests.helpers import published_networks as published
from tests.helpers.fake_hub import FakeHub

PREPARED = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.1, 0.25], "do_resize": True}


@pytest.fixture(scope="module")
def tensors():
    """Those of nvidia/mit-b0: SegFormer's encoder, and a classifier."""
    encoder = {
        name: shape
        for name, shape in published.shapes("segformer_b0").items()
        if name.startswith("segformer.")
    }
    return published.tensors(
        encoder | {"classifier.weight": (1000, 256), "classifier.bias": (1000,)}
    )


@pytest.fixture
def folder(tensors, tmp_path, monkeypatch):
    folder = FakeHub(tmp_path, monkeypatch).folder("nvidia/mit-b0")
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "segformer"}))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPARED))
    return folder


def test_a_repository_of_transformers_fills_a_backbone(folder, tensors, monkeypatch):
    model = create_model("gcn_mit_b0", num_classes=3)
    loaded = load_backbone_weights("hf://nvidia/mit-b0", model)
    bare = {
        name.removeprefix("segformer.encoder."): array
        for name, array in tensors.items()
        if name.startswith("segformer.")
    }
    expected = import_mit(bare, MiT("b0"))
    jax.tree.map(np.testing.assert_array_equal, loaded, expected)
    shapes = variable_shapes(MiT("b0"))
    assert jax.tree.map(np.shape, loaded) == jax.tree.map(np.shape, shapes)
    kernel = loaded["params"]["stage2"]["block1"]["attention"]["query"]["kernel"]
    name = "segformer.encoder.block.1.0.attention.self.query.weight"
    np.testing.assert_array_equal(kernel[0, 0], tensors[name].T)
    monkeypatch.setitem(imagenet.FILES, "mit_b0", Pinned("hf://nvidia/mit-b0"))
    assert imagenet.imagenet_file("mit_b0") == folder / "model.safetensors"


def test_its_preprocessing_is_beside_it(folder):
    mean, std = read_backbone_preprocessing("hf://nvidia/mit-b0")
    assert mean == (127.5, 102.0, 76.5)
    assert std == (51.0, 25.5, 63.75)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.5]}')
    with pytest.raises(UserError, match="mit-b0: its preprocessor_config.json has no image_mean"):
        read_backbone_preprocessing("hf://nvidia/mit-b0")


def test_another_size_is_refused(folder):
    model = create_model("segformer_b1", num_classes=3)
    with pytest.raises(UserError, match=r"mit-b0, for mit_b1: .*unequal shapes"):
        load_backbone_weights("hf://nvidia/mit-b0", model)
