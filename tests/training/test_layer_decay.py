"""Learning rates that fall from the head to the first layer, by each backbone's own rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from gcn_jax.errors import UserError
from gcn_jax.models import create_model
from gcn_jax.models.backbones import BACKBONES
from gcn_jax.models.network import variable_shapes
from gcn_jax.training import default_config
from gcn_jax.training.optimizer import make_optimizer, make_schedule

#: Network -> first part of a parameter's path in the backbone, or more of it -> exponent.
#: ConvNeXt's: 0.9 ** (num_layers + 2 - layer_id - 1) with num_layers of 6, else 12.
EXPONENTS = {
    "upernet_convnext_tiny": {
        "stem_conv": 7, "stem_norm": 7, "res3_downsample": 7, "res5_downsample": 7,
        "res2_block1": 6, "res3_block3": 5, "res4_block9": 4, "res5_block1": 3,
        "norm2": 0, "norm5": 0,
    },
    "gcn_convnext_small": {
        "stem_conv": 13, "res4_downsample": 13, "res2_block1": 12, "res4_block27": 10,
        "res5_block3": 9, "norm3": 0,
    },
    "linear_dinov2_small_reg": {
        "patches": 13, "positions": 13, "cls": 13, "registers": 13,
        "block1": 12, "block2": 11, "block12": 1, "norm": 0,
    },
    "segformer_b0": {"stage1": 4, "stage2": 3, "stage3": 2, "stage4": 1},
    "gcn_resnet18": {"conv1": 5, "bn1": 5, "res2_block1": 4, "res3_block2": 3, "res5_block2": 1},
    "gcn_plain4": {"conv2": 4, "bn3": 3, "conv5": 1},
}  # fmt: skip


def multipliers(name, **changes):
    """Return the path of each parameter -> how many times the learning rate it moves."""
    model = create_model(name, num_classes=3)
    params = jax.tree.map(lambda leaf: jnp.ones((1,)), variable_shapes(model)["params"])
    config = default_config().optimizer
    config.update({"learning_rate": 0.5, "schedule": "constant", "momentum": 0.0, **changes})
    config.weight_decay = 0.0
    tx = make_optimizer(
        config,
        make_schedule(config, 10),
        frozen_batch_norm=False,
        distance_to_head=model.make_backbone().distance_to_head,
    )
    updates, _ = tx.update(params, tx.init(params), params)
    return {path: -float(leaf[0]) / 0.5 for path, leaf in flatten_dict(updates).items()}


@pytest.mark.parametrize("name", EXPONENTS)
def test_each_layer_has_its_rate(name):
    found = multipliers(name, layer_decay=0.9, head_multiplier=10.0)
    seen = {}
    for path, multiplier in found.items():
        if path[0] == "backbone":
            seen.setdefault(path[1], set()).add(round(multiplier, 6))
        else:
            assert multiplier == pytest.approx(10), path
    for layer, exponent in EXPONENTS[name].items():
        assert seen[layer] == {round(0.9**exponent, 6)}, layer


def test_the_rule_is_the_same_for_adamw():
    adamw = {"kind": "adamw"}  # whose first step is the rate, whatever the gradient
    of_sgd, of_adamw = (
        multipliers("gcn_plain4", layer_decay=0.5, **changes) for changes in ({}, adamw)
    )
    assert of_sgd.keys() == of_adamw.keys()
    for path, multiplier in of_sgd.items():
        assert of_adamw[path] == pytest.approx(multiplier, rel=1e-5), path


def test_every_backbone_has_a_rule():
    assert all(hasattr(record.make(), "distance_to_head") for record in BACKBONES.values())


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50s", "_tiny", "_convnext", "_mit", "_dinov2", "dinov2_small_reg"]
)
def test_the_rule_knows_each_parameter(name):
    backbone = BACKBONES[name].make()
    paths = flatten_dict(variable_shapes(backbone)["params"])
    distances = {path: backbone.distance_to_head(path) for path in paths}
    assert min(distances.values()) in (0, 1)
    assert max(distances.values()) >= 4
    first = next(path for path, leaf in paths.items() if leaf.shape[-2:-1] == (3,))
    assert distances[first] == max(distances.values())  # what sees the colours


def test_a_backbone_without_a_rule_is_refused():
    config = default_config().optimizer
    config.layer_decay = 0.9
    with pytest.raises(UserError, match=r"layer_decay.*=0.9: this backbone does not say how far"):
        make_optimizer(config, make_schedule(config, 10), frozen_batch_norm=False)
    assert not hasattr(create_model("segnet", num_classes=3).make_backbone(), "distance_to_head")


def test_one_changes_nothing():
    for path, multiplier in multipliers("gcn_plain4", layer_decay=1.0).items():
        np.testing.assert_allclose(multiplier, 1, err_msg=str(path))
