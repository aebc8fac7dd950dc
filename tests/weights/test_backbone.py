"""Weights of a backbone: from a file, and from the hub's cache, without a network."""

import json

import jax
import numpy as np
import pytest
import safetensors.numpy

from gcn_jax.errors import UserError
from gcn_jax.models import SegNet, create_model
from gcn_jax.models.backbones import BACKBONES, ResNet
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.weights import (
    list_sources,
    load_backbone_weights,
    read_backbone_preprocessing,
)
from gcn_jax.weights.resnet import import_resnet
from gcn_jax.weights.vgg import import_vgg
from tests.helpers import torchvision_weights
from tests.helpers.fake_hub import FakeHub

INCEPTION = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 0.1]}


def on(backbone):
    """Return a network on a backbone."""
    return create_model("classifier", num_classes=3, backbone=backbone)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    safetensors.numpy.save_file(torchvision_weights.state_dict(18), path)
    return path


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A function that puts a repository where only the cache is read, and returns its folder."""
    fake = FakeHub(tmp_path, monkeypatch)

    def add(name, config, weights=None):
        folder = fake.folder(name)
        (folder / "config.json").write_text(json.dumps(config))
        if weights:
            (folder / "model.safetensors").symlink_to(weights)
        return folder

    return add


def test_a_file_fills_the_backbone(file):
    expected = import_resnet(torchvision_weights.state_dict(18), ResNet(depth=18))
    loaded = load_backbone_weights(str(file), on("resnet18"))
    jax.tree.map(np.testing.assert_array_equal, loaded, expected)
    assert read_backbone_preprocessing(str(file)) == (IMAGENET_MEAN, IMAGENET_STD)


def test_the_hub_gives_weights_and_their_preprocessing(hub, file):
    hub("timm/resnet18.test", {"architecture": "resnet18", "pretrained_cfg": INCEPTION}, file)
    variables = load_backbone_weights("hf://timm/resnet18.test", on("resnet18"))
    kernel = torchvision_weights.state_dict(18)["conv1.weight"]
    np.testing.assert_array_equal(
        variables["params"]["conv1"]["kernel"], np.einsum("oihw->hwio", kernel)
    )
    mean, std = read_backbone_preprocessing("hf://timm/resnet18.test")
    assert mean == (127.5, 127.5, 127.5)
    assert std == (63.75, 127.5, 25.5)


def test_what_is_not_in_the_cache_cannot_be_had_offline(hub):
    with pytest.raises(UserError, match="absent: config.json cannot be had .*/main/config.json: "):
        read_backbone_preprocessing("hf://timm/absent")
    hub("timm/half", {"architecture": "resnet18", "pretrained_cfg": INCEPTION})
    with pytest.raises(UserError, match="hf://timm/half: model.safetensors cannot be had"):
        load_backbone_weights("hf://timm/half", on("resnet18"))
    with pytest.raises(UserError, match="hf://no name: config.json cannot be had"):
        read_backbone_preprocessing("hf://no name")


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"pretrained_cfg": {"mean": [0.5]}},
        [],
        {"pretrained_cfg": INCEPTION | {"std": [0.25, 0, 0.1]}},
        {"pretrained_cfg": INCEPTION | {"mean": [0.5, float("nan"), 0.1]}},
        {"pretrained_cfg": INCEPTION | {"mean": [0.5, 10**400, 0.1]}},
    ],
)
def test_a_repository_that_is_not_timm_s_is_named(hub, config):
    hub("somebody/model", config)
    with pytest.raises(UserError, match="hf://somebody/model: its config.json is not that of"):
        read_backbone_preprocessing("hf://somebody/model")


def test_settings_that_are_no_text_are_named(hub):
    (hub("somebody/model", {}) / "config.json").write_bytes(b"\xff")
    with pytest.raises(UserError, match="hf://somebody/model: its config.json is not that of"):
        read_backbone_preprocessing("hf://somebody/model")


def test_another_network_with_the_same_tensors_is_refused(hub, file):
    """The blur of timm's resnetblur50 has no weights; without it the others are of little use."""
    hub("timm/resnetblur18", {"architecture": "resnetblur18", "pretrained_cfg": INCEPTION}, file)
    with pytest.raises(UserError, match="is timm's resnetblur18; .* weights of resnet18"):
        load_backbone_weights("hf://timm/resnetblur18", on("resnet18"))
    with pytest.raises(UserError, match="this backbone needs weights of resnet50s"):
        load_backbone_weights("hf://timm/resnetblur18", on("resnet50s"))


def test_vgg_comes_with_or_without_batch_norm(hub, tmp_path):
    weights = torchvision_weights.vgg_state_dict(batch_norm=True, divisor=32)
    path = tmp_path / "vgg16_bn.safetensors"
    safetensors.numpy.save_file(weights, path)
    hub("timm/vgg16_bn.test", {"architecture": "vgg16_bn", "pretrained_cfg": INCEPTION}, path)
    hub("timm/vgg16.test", {"architecture": "vgg16", "pretrained_cfg": INCEPTION}, path)
    model = SegNet(num_classes=3, width=1 / 32)
    variables = load_backbone_weights("hf://timm/vgg16_bn.test", model)
    expected = import_vgg(weights, model.make_backbone())
    jax.tree.map(np.testing.assert_array_equal, variables, expected)
    with pytest.raises(UserError, match="is timm's vgg16; this backbone needs weights of vgg16_bn"):
        load_backbone_weights("hf://timm/vgg16.test", model)


def test_weights_that_do_not_fit_are_named(file):
    with pytest.raises(UserError, match=r"resnet18.safetensors, for resnet34: .*missing tensors"):
        load_backbone_weights(str(file), on("resnet34"))
    with pytest.raises(UserError, match="no published weights of plain4.*there are sources"):
        load_backbone_weights(str(file), on("plain4"))


def test_backbones_that_stand_for_a_published_one_name_a_source():
    assert {record.weights for record in BACKBONES.values()} - {None} <= {*list_sources()}
