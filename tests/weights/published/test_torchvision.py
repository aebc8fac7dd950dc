"""torchvision's FCN and DeepLabV3: its names in, its logits out.

`tests/fixtures/torchvision_*.npz` have the names and shapes of its state dicts and what it makes of
weights by the recipe of `tests/helpers/torchvision_weights.py`.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models import create_model
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.weights.published.torchvision import FAMILIES
from tests.helpers import torchvision_weights

FIXTURES = Path(__file__).parents[2] / "fixtures"
NETWORKS = ("fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101")
(FAMILY,) = FAMILIES


def shapes(network):
    """Return name -> shape of every tensor that torchvision has in a network."""
    file = np.load(FIXTURES / f"torchvision_{network}.npz")
    pairs = zip(file["names"].tolist(), file["shapes"].tolist(), strict=True)
    return {name: tuple(json.loads(shape)) for name, shape in pairs}


def ones(network, without="-", classes=21):
    """Return tensors of ones, but for those whose names begin with `without`."""
    return {
        name: np.broadcast_to(
            np.float32(1), (classes, *shape[1:]) if "classifier.4" in name else shape
        )
        for name, shape in shapes(network).items()
        if not name.startswith(without)
    }


@pytest.mark.parametrize("network", NETWORKS)
def test_names_and_shapes_tell_the_network(network):
    identity = FAMILY.identify(ones(network))
    assert identity == (network, {"num_classes": 21, "auxiliary": True})
    identity = FAMILY.identify(ones(network, without="aux_classifier", classes=4))
    assert identity == (network, {"num_classes": 4, "auxiliary": False})


@pytest.mark.parametrize("lacking", ["backbone.conv1", "backbone.layer3", "classifier."])
def test_other_tensors_are_of_no_network_here(lacking):
    assert FAMILY.identify(ones("fcn_resnet50", without=lacking)) is None
    assert FAMILY.identify(torchvision_weights.state_dict(18)) is None


def test_what_is_missing_or_left_over_is_named():
    tensors = ones("fcn_resnet50", without="classifier.1.bias") | {"extra.weight": np.ones(3)}
    network = create_model("fcn_resnet50", **FAMILY.identify(tensors).fields)
    with pytest.raises(UserError, match=r"1 missing.*: classifier\.1\.bias; 1 .*: extra\.weight"):
        FAMILY.convert(tensors, network)


def test_images_are_prepared_as_for_the_backbone():
    assert (FAMILY.mean, FAMILY.std) == (IMAGENET_MEAN, IMAGENET_STD)


@pytest.mark.parametrize(
    ("network", "key"),
    [
        ("deeplabv3_resnet50", "65x97/logits_every3"),
        *(
            pytest.param(network, key, marks=pytest.mark.slow)
            for network in NETWORKS
            for key in np.load(FIXTURES / f"torchvision_{network}.npz").files
            if "logits" in key and (network, key) != ("deeplabv3_resnet50", "65x97/logits_every3")
        ),
    ],
)
def test_logits_are_those_of_torchvision(network, key):
    """At 64 x 640 and 640 x 64, every fourth class, all taps of the dilated convolutions count."""
    tensors = {n: torchvision_weights.value(n, shape) for n, shape in shapes(network).items()}
    identity = FAMILY.identify(tensors)
    model = create_model(identity.network, **identity.fields)
    variables = FAMILY.convert(tensors, model)
    height, width = map(int, key.partition("/")[0].split("x"))
    images = np.random.default_rng(height).standard_normal((1, height, width, 3)).astype("float32")
    # Not under jit: layers of few shapes are faster run one by one than compiled.
    logits = model.apply(variables, images)
    step = int(key[-1])
    logits = logits[:, ::step, ::step, :: 4 if step == 4 else 1]
    expected = np.load(FIXTURES / f"torchvision_{network}.npz")[key]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)
