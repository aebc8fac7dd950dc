"""ImageNet weights by name, prefixes of names, relatives of ResNet."""

import hashlib
import re

import jax
import numpy as np
import pytest
import safetensors.numpy

from gcn_jax.errors import UserError
from gcn_jax.models import create_model
from gcn_jax.weights import imagenet, list_sources, load_backbone_weights
from gcn_jax.weights.pinned import Pinned
from gcn_jax.weights.prefixes import without_prefix
from gcn_jax.weights.relatives import check_relative
from tests.helpers import torchvision_weights
from tests.helpers.published_data import Unreliable, serve


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A server that breaks off after 100,000 bytes, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    class Handler(Unreliable):
        asked = []
        content = np.random.default_rng(0).bytes(150_000)

    sha256 = hashlib.sha256(Handler.content).hexdigest()
    name = f"net-{sha256[:8]}.pth"
    with serve(tmp_path, Handler) as url:
        monkeypatch.setitem(imagenet.FILES, "resnet18", Pinned(f"{url}/{name}", sha256))
        yield Handler, tmp_path / "cache" / "gcn_jax" / "weights" / name


def test_a_file_is_downloaded_once_and_goes_on_where_it_broke_off(published):
    handler, path = published
    with pytest.raises(UserError, match=r"cannot be downloaded .*fetch http://.* put it at"):
        imagenet.imagenet_file("resnet18")
    assert imagenet.imagenet_file("resnet18") == path
    assert imagenet.imagenet_file("resnet18") == path
    assert path.read_bytes() == handler.content
    assert handler.asked == [None, "bytes=65536-"]


def test_another_file_is_refused(published):
    handler, path = published
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.name}.part").write_bytes(bytes(65_536))
    with pytest.raises(UserError, match="is not the published file: its sha256 begins with"):
        imagenet.imagenet_file("resnet18")
    assert not [*path.parent.iterdir()]
    path.write_bytes(b"by hand, and wrong")
    with pytest.raises(UserError, match="is not the published file"):
        imagenet.imagenet_file("resnet18")
    assert path.exists()
    path.write_bytes(handler.content)
    assert imagenet.imagenet_file("resnet18") == path


def test_a_backbone_without_a_file_is_named():
    with pytest.raises(UserError, match="no file is known for dinov2_small; there are files for"):
        imagenet.imagenet_file("dinov2_small")


#: What torchvision does not have.
_OF_TIMM = {
    "resnet50s": "gluon_in1k",
    "resnet101s": "gluon_in1k",
    "convnext_xlarge": "fb_in22k_ft_in1k",
}


def test_files_are_of_architectures_that_can_be_read_and_carry_their_digits():
    assert {"resnet50", "vgg16_bn"} < imagenet.FILES.keys() <= {*list_sources()}
    for name, (address, sha256) in imagenet.FILES.items():
        if name.startswith("mit_"):
            pin = r"@[0-9a-f]{40}/model\.safetensors" if sha256 else ""
            assert re.fullmatch(rf"hf://nvidia/mit-{name[4:]}{pin}", address)
        elif not sha256:
            assert address == f"hf://timm/{name}.{_OF_TIMM[name]}"
        else:
            assert address == f"https://download.pytorch.org/models/{name}-{sha256[:8]}.pth"
        of_digits = ("convnext_base", "convnext_large", "mit_b3", "mit_b4", "mit_b5")
        whole = name not in (*of_digits, *_OF_TIMM)
        assert len(sha256) == 64 or not whole


def test_a_file_of_the_hub_is_checked_too(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    asked = []
    monkeypatch.setattr(imagenet, "weights_file", lambda source: asked.append(source) or path)
    sha256 = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setitem(imagenet.FILES, "mit_b0", Pinned("hf://nvidia/mit-b0@0123", sha256))
    path.write_bytes(b"weights")
    assert imagenet.imagenet_file("mit_b0") == path
    path.write_bytes(b"weighty")
    with pytest.raises(UserError, match="fetch it from hf://nvidia/mit-b0@0123 by hand"):
        imagenet.imagenet_file("mit_b0")
    assert asked == ["hf://nvidia/mit-b0@0123"] * 2


@pytest.mark.parametrize("prefix", ["backbone.", "encoder.", "module.", "module.encoder_q."])
def test_prefixes_are_stripped(prefix):
    bare = {"conv1.weight": np.ones(2), "layer1.0.conv1.weight": np.zeros(2)}
    named = {prefix + name: array for name, array in bare.items()}
    others = {"queue": 0, "encoder_k.conv1.weight": 0, "head.weight": 0}
    assert without_prefix({**named, **others}) == bare_as(bare, named, prefix)
    assert without_prefix(bare) == bare


def bare_as(bare, named, prefix):
    """Return the arrays of `named` by the names of `bare`."""
    return {name: named[prefix + name] for name in bare}


def test_excepted_layers_are_left_out(tmp_path):
    whole = torchvision_weights.state_dict(18)
    model = create_model("classifier", num_classes=3, backbone="resnet18")
    cut = {k: v for k, v in whole.items() if not k.startswith("layer4.0.conv")}
    path = str(tmp_path / "cut.safetensors")
    safetensors.numpy.save_file({f"module.{k}": v for k, v in cut.items()}, path)
    with pytest.raises(UserError, match=r"2 missing tensors: layer4.0.conv1.weight"):
        load_backbone_weights(path, model)
    loaded = load_backbone_weights(path, model, ("res5_*",))
    assert "res5_block1" not in loaded["params"]
    assert "res4_block1" in loaded["params"]
    kernel = loaded["params"]["conv1"]["kernel"]
    np.testing.assert_array_equal(
        jax.device_get(kernel), whole["conv1.weight"].transpose(2, 3, 1, 0)
    )
    with pytest.raises(UserError, match="no layer fits layer4; there are bn1, conv1, res2_block1"):
        load_backbone_weights(path, model, ("layer4",))


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        ({"layer2.0.downsample.1.weight": (8, 4, 1, 1)}, "ResNet-D"),
        ({"layer1.0.se.fc1.weight": (8, 4, 1, 1)}, "SE-ResNet"),
        (
            {"layer1.0.se.conv1.weight": (8,), "layer2.0.downsample.1.weight": (8, 4, 1, 1)},
            "ResNet-RS",
        ),
        (
            {
                "layer1.0.conv1.weight": (128, 64, 1, 1),
                "layer1.0.conv2.weight": (128, 4, 3, 3),
                "layer1.0.conv3.weight": (256, 128, 1, 1),
            },
            "ResNeXt",
        ),
    ],
)
def test_relatives_are_refused_by_name(shapes, name):
    with pytest.raises(UserError, match=name):
        check_relative({key: np.zeros(shape) for key, shape in shapes.items()})
    check_relative(torchvision_weights.state_dict(18))
