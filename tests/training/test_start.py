"""What a new run starts from, without running it (see `test_loop.py` for runs)."""

import jax
import numpy as np
import pytest
import safetensors.numpy
from models import torchvision_weights

from gcn_jax import models
from gcn_jax.models.importers import import_resnet
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.models.pretrained import ModelInfo, variable_shapes, write_info
from gcn_jax.training import default_config, start
from gcn_jax.training.start import start_variables, with_preprocessing

ONE, TWO, FOUR = ((number,) * 3 for number in (1.0, 2.0, 4.0))


def test_backbone_weights_leave_the_head_as_it_is(tmp_path):
    config = default_config()
    config.backbone_weights = str(tmp_path / "resnet18.safetensors")
    weights = torchvision_weights.state_dict(18)
    safetensors.numpy.save_file(weights, config.backbone_weights)
    model = models.create_model("gcn_resnet18", num_classes=3)
    before = variable_shapes(model)
    variables = start_variables(config, model, before)
    expected = import_resnet(weights, models.ResNet(depth=18))
    for name in ("params", "batch_stats"):
        backbone = variables[name].pop("backbone")
        jax.tree.map(np.testing.assert_array_equal, backbone, expected[name])
        head = {key: leaf for key, leaf in before[name].items() if key != "backbone"}
        assert variables[name] == head


def test_a_backbone_without_batch_norm_has_no_statistics(tmp_path):
    config = default_config()
    config.backbone_weights = str(tmp_path / "vgg16.safetensors")
    weights = torchvision_weights.vgg_state_dict(batch_norm=False, divisor=32)
    safetensors.numpy.save_file(weights, config.backbone_weights)
    model = models.create_model("deeplab_largefov", num_classes=3, width=1 / 32)
    before = {"batch_stats": {}, **variable_shapes(model)}
    variables = start_variables(config, model, before)
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, before)
    kernel = variables["params"]["backbone"]["stage1"]["conv1"]["kernel"]
    np.testing.assert_array_equal(kernel, weights["features.0.weight"].transpose(2, 3, 1, 0))


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A workdir whose images have mean ONE, another with TWO, and weights with FOUR."""
    for name, mean in (("workdir", ONE), ("stage1", TWO)):
        (tmp_path / name).mkdir()
        write_info(tmp_path / name, ModelInfo("_tiny", {}, (), (), mean, TWO))
    monkeypatch.setattr(start, "read_backbone_preprocessing", lambda source: (FOUR, FOUR))
    return tmp_path


@pytest.mark.parametrize(
    ("workdir", "settings", "mean", "std"),
    [
        ("new", {}, IMAGENET_MEAN, IMAGENET_STD),
        ("new", {"backbone_weights": "hf://a/b"}, FOUR, FOUR),
        ("new", {"backbone_weights": "hf://a/b", "data.mean": ONE}, ONE, FOUR),
        ("new", {"backbone_weights": "hf://a/b", "init_from": "stage1"}, TWO, TWO),
        ("workdir", {"backbone_weights": "hf://a/b", "init_from": "stage1"}, ONE, TWO),
        ("workdir", {"data.mean": FOUR, "data.std": FOUR}, FOUR, FOUR),
    ],
)
def test_preprocessing_travels_with_the_weights(folders, workdir, settings, mean, std):
    config = default_config()
    config.update_from_flattened_dict(settings)
    if config.init_from:
        config.init_from = str(folders / config.init_from)
    config = with_preprocessing(config, folders / workdir)
    assert (config.data.mean, config.data.std) == (mean, std)
