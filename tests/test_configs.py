"""Every config file describes a run that can be built."""

import dataclasses
from importlib import import_module
from pathlib import Path

import jax
import pytest

from gcn_jax import data, models
from gcn_jax.errors import UserError
from gcn_jax.models.network import variable_shapes
from gcn_jax.models.preprocessing import IMAGENET_MEAN
from gcn_jax.training.config import check_config, default_config, model_settings
from gcn_jax.training.optimizer import make_optimizer, make_schedule

NAMES = sorted(path.stem for path in (Path(__file__).parent.parent / "configs").glob("*.py"))
NAMES = [name for name in NAMES if name not in ("__init__", "common")]


@pytest.mark.parametrize("name", NAMES)
def test_config_builds_its_network_optimizer_and_transform(name):
    config = import_module(f"gcn_jax.configs.{name}").get_config()
    check_config(config)
    model = models.create_model(**config.model, num_classes=5)
    params = variable_shapes(model)["params"]
    schedule = make_schedule(config.optimizer, config.num_steps)
    tx = make_optimizer(config.optimizer, schedule, frozen_batch_norm=False)
    velocity = jax.eval_shape(tx.init, params)
    assert sum(leaf.size for leaf in jax.tree.leaves(velocity)) >= 1e5
    size = {"crop_size": config.augment.crop_size or (32, 32)}  # None: from the images
    data.Augment(**config.augment.to_dict() | size, fill=IMAGENET_MEAN)
    assert 0 < float(schedule(config.num_steps // 2)) <= config.optimizer.learning_rate


def test_stages_of_fcn_have_the_rates_of_the_reference_code_and_follow_each_other():
    names = ("fcn32s", "fcn16s", "fcn8s_staged")
    before, layers = None, None
    for name, rate in zip(names, (1e-10, 1e-12, 1e-14), strict=True):  # of a sum over pixels
        config = import_module(f"gcn_jax.configs.{name}").get_config()
        assert config.model.name == f"{name.removesuffix('_staged')}_vgg16"
        assert config.optimizer.learning_rate == pytest.approx(rate * 500 * 375)
        assert config.optimizer.weight_decay == pytest.approx(5e-4 / (500 * 375))
        assert config.init_from == (before and f"runs/{before}")
        config.model.width = 1 / 32
        model = models.create_model(**config.model, num_classes=5)
        now = variable_shapes(model)["params"].keys()
        assert now - (layers or now) == set(config.init_except)
        before, layers = name, now


def test_a_config_has_all_settings_of_the_transform_but_its_colour():
    fields = {field.name: field.default for field in dataclasses.fields(data.Augment)}
    augment = default_config().augment.to_dict()
    del fields["fill"], fields["crop_size"], augment["crop_size"]
    assert augment == fields


def test_another_kind_of_network_needs_its_own_settings():
    config = default_config()
    config.model.name = "segnet"  # as by --config.model.name=segnet
    has = "no boundary_refinement, .*, upsampling; it has dtype, frozen_batch_norm, width"
    with pytest.raises(
        UserError, match=rf"is segnet, which has {has}\..* model_settings\('segnet'\)"
    ):
        check_config(config)
    config.model = model_settings("segnet")
    check_config(config)
    config.model = model_settings("_tiny")
    config.model.kernel_size = 3  # what the name fixes may be set, too
    check_config(config)
