"""torchvision's FCN and DeepLabV3: its names in, its logits out.

`tests/fixtures/published/torchvision_*.npz` have the names and shapes of its state dicts, and what
it makes of weights by the recipe of `tests/helpers/torchvision_weights.py`.
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

FIXTURES = Path(__file__).parents[2] / "fixtures" / "published"
NETWORKS = ("fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101")


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


def identify(tensors):
    """Return the one family that knows tensors, and their network."""
    found = [(family, family.identify(tensors)) for family in FAMILIES]
    (known,) = [pair for pair in found if pair[1]]
    return known


@pytest.mark.parametrize("network", NETWORKS)
def test_names_and_shapes_tell_the_network(network):
    family, identity = identify(ones(network))
    assert identity == (network, {"num_classes": 21})
    assert (family.mean, family.std) == (IMAGENET_MEAN, IMAGENET_STD)
    assert family.title.lower() == f"{network.partition('_')[0]} of torchvision"
    _, identity = identify(ones(network, without="aux_classifier", classes=4))
    assert identity == (network, {"num_classes": 4, "auxiliary": False})


def test_other_tensors_are_of_no_network_here():
    whole = ones("fcn_resnet50")
    others = [ones("fcn_resnet50", name) for name in ("backbone.conv1", "backbone.layer3", "class")]
    others += [
        torchvision_weights.state_dict(18),
        whole | {"backbone.layer3.6.conv1.weight": np.ones(1)},  # another depth
        whole | {"classifier.4.weight": np.float32(1)},
    ]
    for tensors in others:
        assert [family.identify(tensors) for family in FAMILIES] == [None, None]


def test_what_is_missing_or_left_over_is_named():
    tensors = ones("fcn_resnet50", without="classifier.1.bias") | {"extra.weight": np.ones(3)}
    family, identity = identify(tensors)
    model = create_model(identity.network, **identity.fields)
    with pytest.raises(UserError, match=r"1 missing.*: classifier\.1\.bias; 1 .*: extra\.weight"):
        family.convert(tensors, model)


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
    family, identity = identify(tensors)
    model = create_model(identity.network, **identity.fields)
    variables = family.convert(tensors, model)
    height, width = map(int, key.partition("/")[0].split("x"))
    images = np.random.default_rng(height).standard_normal((1, height, width, 3)).astype("float32")
    # Not under jit: layers of few shapes are faster run one by one than compiled.
    logits = model.apply(variables, images)
    step = int(key[-1])
    logits = logits[:, ::step, ::step, :: 4 if step == 4 else 1]
    expected = np.load(FIXTURES / f"torchvision_{network}.npz")[key]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)
