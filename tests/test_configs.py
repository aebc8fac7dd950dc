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
from gcn_jax.weights.imagenet import FILES

NAMES = sorted(path.stem for path in (Path(__file__).parent.parent / "configs").glob("*.py"))
NAMES = [name for name in NAMES if name not in ("__init__", "common")]


@pytest.mark.parametrize("name", NAMES)
def test_config_builds_its_network_optimizer_and_transform(name):
    config = import_module(f"gcn_jax.configs.{name}").get_config()
    check_config(config)
    model = models.create_model(**config.model, num_classes=5)
    params = variable_shapes(model)["params"]
    schedule = make_schedule(config.optimizer, config.num_steps)
    tx = make_optimizer(
        config.optimizer,
        schedule,
        frozen_batch_norm=False,
        distance_to_head=getattr(model.make_backbone(), "distance_to_head", None),
    )
    velocity = jax.eval_shape(tx.init, params)
    assert sum(leaf.size for leaf in jax.tree.leaves(velocity)) >= 1e5
    size = {"crop_size": config.augment.crop_size or (32, 32)}  # None: from the images
    data.Augment(**config.augment.to_dict() | size, fill=IMAGENET_MEAN)
    assert 0 < float(schedule(config.num_steps // 2)) <= config.optimizer.learning_rate


@pytest.mark.parametrize(
    ("name", "crop", "batch", "rate", "decay", "head", "layers"),
    [
        ("segformer_ade20k", 512, 16, 6e-5, 0.01, 10.0, 1.0),
        ("segformer_cityscapes", 1024, 8, 6e-5, 0.01, 10.0, 1.0),
        ("upernet_convnext_ade20k", 512, 16, 1e-4, 0.05, 1.0, 0.9),
        ("upernet_convnext_cityscapes", 1024, 8, 1e-4, 0.05, 1.0, 0.9),
    ],
)
def test_recipes_of_todays_networks_have_the_authors_rates(
    name, crop, batch, rate, decay, head, layers
):
    config = import_module(f"gcn_jax.configs.{name}").get_config()
    settings, data_set = config.optimizer, name.rpartition("_")[2]
    assert (config.data.train, config.data.val) == ((f"{data_set}:train",), f"{data_set}:val")
    assert (config.augment.crop_size, config.batch_size) == ((crop, crop), batch)
    assert (settings.learning_rate, settings.weight_decay) == (rate, decay)
    assert (settings.head_multiplier, settings.layer_decay) == (head, layers)
    schedule = make_schedule(settings, config.num_steps)
    assert [float(schedule(step)) for step in (0, 750, 1_500, 80_000, 160_000)] == pytest.approx(
        [0, rate * 0.5 * (1 - 750 / 160_000), rate * (1 - 1_500 / 160_000), rate / 2, 0], rel=1e-5
    )


@pytest.mark.parametrize(
    ("network", "kind", "rate", "weights"),
    [
        ("gcn_resnet50", "sgd", 0.02, "imagenet"),
        ("fcn8s_vgg16", "sgd", 0.005, "imagenet"),
        ("deeplab_largefov", "sgd", 0.005, "imagenet"),
        ("segnet", "sgd", 0.02, "imagenet"),
        ("segformer_b0", "adamw", 6e-5, "imagenet"),
        ("upernet_convnext_tiny", "adamw", 6e-5, "imagenet"),
        ("gcn_dinov2_base", "adamw", 6e-5, "hf://facebook/dinov2-base"),
        ("linear_dinov2_small_reg", "adamw", 6e-5, "hf://facebook/dinov2-with-registers-small"),
    ],
)  # fmt: skip
def test_finetune_takes_a_network_with_what_it_needs(network, kind, rate, weights):
    config = import_module("gcn_jax.configs.finetune").get_config(network)
    check_config(config)
    assert (config.model.name, config.backbone_weights) == (network, weights)
    assert (config.optimizer.kind, config.optimizer.learning_rate) == (kind, rate)
    assert not config.model.frozen_batch_norm
    with pytest.raises(UserError, match="unknown model 'segformer_b9' .did you mean"):
        import_module("gcn_jax.configs.finetune").get_config("segformer_b9")


@pytest.mark.parametrize("network", [name for name in models.list_models() if name != "classifier"])
def test_finetune_starts_every_network_from_weights_that_there_are(network):
    config = import_module("gcn_jax.configs.finetune").get_config(network)
    architecture = models.create_model(network, num_classes=2).backbone_weights
    has_none = "plain" in network or network == "gcn_resnet50_gcn"
    assert (config.backbone_weights is None) == has_none
    assert config.backbone_weights != "imagenet" or architecture in FILES


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
