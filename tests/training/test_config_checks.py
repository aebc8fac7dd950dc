"""Every setting has a type and a range, which are checked before any work."""

import math
from pathlib import Path

import pytest

from gcn_jax.errors import UserError
from gcn_jax.models.registry import MODELS, model_fields
from gcn_jax.training.config import check_config, default_config, flatten, model_settings
from gcn_jax.training.config_checks import CHECKS, MODEL_CHECKS
from gcn_jax.training.run import with_absolute_paths

DEFAULTS = flatten(default_config().to_dict())

WEIGHTS = ("cross_entropy", "focal", "ohem", "dice", "lovasz_softmax", "focal_gamma")
SHARES = ("label_smoothing", "ohem_threshold", "ohem_min_kept")

#: Settings -> values that they cannot have.
WRONG = {
    "seed": (-1, 2**32, 0.5, True),
    "num_devices": (-1, 0.5),
    "mesh.data": (0, -2, 0.5, None),
    "mesh.height": (0, -2, 0.5, None),
    "remat": (1, "yes"),
    "init_from": ("", 3),
    "backbone_weights": ("", 3),
    "init_except": ("a", ("",), (1,)),
    "backbone_except": ("a", ("",), (1,)),
    "data.train": ((), "shapes:train", (1,)),
    "data.val": ("", None),
    "data.data_dir": ("", 3),
    "data.manual_dir": ("", 3),
    "data.mean": ((1, 2, 256), (1, 2, math.nan), (-1, 0, 0), 3),
    "data.std": ((1, 2, 0), (1, 2, math.inf), 3),
    "data.coco_year": (2015, 0),
    "data.coco_min_area": (-1, 0.5),
    "data.mask_suffix": ("", 3),
    "data.reduce_zero_label": (1, "yes"),
    "data.channels": (0, -1, 513, 1.5, None),
    "data.bit_depth": (7, 17, 12.0, "12"),
    "data.void_labels": (11, ("a",), (-2,), (65_536,), (0.5,)),
    "data.num_threads": (0, -1, 10**6),
    "data.cache_in_memory": (1,),
    "data.cache_features": (1,),
    "augment.crop_size": ((0, 1), (1, 10**6), (1,), (1, 2, 3), 32, (32.5, 32)),
    "augment.flip": (1,),
    "augment.scale": ((0, 1), (2, 1), (1,), (0.5, math.inf), (math.nan, 1), 1.0),
    "augment.jitter": (-0.1, 1.1, math.nan),
    "augment.rotation": (-1, 181, math.nan),
    "augment.blur": (1,),
    "augment.vertical_flip": (1,),
    "augment.quarter_turns": (1,),
    "augment.extra": ("", "extra", "a.py", "a.py:", "a.py:two words", "a.txt:extra", 3),
    **dict.fromkeys((f"loss.{name}" for name in WEIGHTS), (-1, math.nan, math.inf)),
    **dict.fromkeys((f"loss.{name}" for name in SHARES), (-0.1, 1.1, math.nan)),
    "loss.class_weights": ("", 3),
    "batch_size": (0, -1, 1.5, 10**7),
    "num_steps": (0, -1, 2**31, 1.5),
    "optimizer.kind": ("adam", "AdamW", None),
    "optimizer.learning_rate": (0, -1, math.nan, math.inf),
    "optimizer.momentum": (-0.1, 1, math.nan),
    "optimizer.betas": ((0.9,), (0.9, 1), (-0.1, 0.9), (0.9, math.nan), 0.9),
    "optimizer.eps": (0, -1e-8, math.nan),
    "optimizer.weight_decay": (-1e-4, math.nan, math.inf),
    "optimizer.schedule": ("linear", None),
    "optimizer.warmup_steps": (-1, 0.5),
    "optimizer.poly_power": (0, -1, math.nan),
    "optimizer.step_boundaries": ((0,), (-1,), ("a",), 5),
    "optimizer.step_factor": (0, -1, math.inf),
    "optimizer.head_multiplier": (-1, math.nan),
    "optimizer.layer_decay": (0, -0.5, 1.1, math.nan),
    "optimizer.bias_multiplier": (-1, math.nan),
    "optimizer.learn_frozen_batch_norm": (1, "yes"),
    "optimizer.clip_norm": (-1, math.nan, math.inf),
    "optimizer.accumulate": (0, -1, 1.5),
    "optimizer.ema_decay": (-0.1, 1, math.nan),
    "log_every": (0, -1),
    "eval_every": (0, -1),
    "patience": (-1, 0.5),
    "checkpoint_every": (0, -1),
    "eval_batch_size": (0, -1, 10**7),
    "eval_train_images": (-1, 1.5, True),
    "trackers": ("wandb", ("tensorbored",), 3, None),
    "model.kernel_size": (0, 4, -3, 1.5, 10**6 + 1),
    "model.features": (0, 2.5, 10**6),
    "model.branch_features": (0, 2.5, 10**6),
    "model.stochastic_depth": (-0.1, 1.0, math.nan),
    "model.stack_channels": (0, -1, 10**6),
    "model.width": (0, -1, 100.0, math.nan),
}


def test_every_setting_has_a_check():
    """A new setting needs a line in CHECKS, and here values that it cannot have."""
    assert {key for key in DEFAULTS if not key.startswith("model.")} == CHECKS.keys()
    numbers = {
        f"model.{field}"
        for name in MODELS
        for field, (kind, _) in model_fields(name).items()
        if kind in (int, float) and field not in ("num_classes", "in_channels")
    }
    assert numbers == MODEL_CHECKS.keys()
    assert WRONG.keys() == CHECKS.keys() | MODEL_CHECKS.keys()


@pytest.mark.parametrize("key", DEFAULTS)
def test_defaults_hold(key):
    check = {**CHECKS, **MODEL_CHECKS}.get(key)
    assert check is None or check.holds(DEFAULTS[key])


@pytest.mark.parametrize("key", WRONG)
def test_what_a_setting_cannot_be_is_refused(key):
    check = {**CHECKS, **MODEL_CHECKS}[key]
    for value in WRONG[key]:
        assert not check.holds(value), value


def test_all_problems_are_named_at_once():
    config = default_config()
    config.seed = -1
    config.optimizer.momentum = 1.0
    config.model.kernel_size = 4
    with pytest.raises(UserError) as raised:
        check_config(config)
    assert str(raised.value) == (
        "--config.seed=-1: must be a whole number from 0 to 4294967295; the default is 0. "
        "--config.optimizer.momentum=1.0: must be a number from 0 to 1, 1 left out; the default is "
        "0.9. --config.model.kernel_size=4: must be an odd whole number from 1 to 1023; the "
        "default is 15"
    )


@pytest.mark.parametrize(
    ("kind", "key", "value", "other", "default"),
    [
        ("adamw", "momentum", 0.99, "sgd", 0.9),
        ("sgd", "betas", (0.9, 0.95), "adamw", (0.9, 0.999)),
        ("sgd", "eps", 1e-6, "adamw", 1e-8),
    ],
)
def test_what_is_not_of_the_kind_of_optimiser_is_refused(kind, key, value, other, default):
    config = default_config()
    config.optimizer.update({"kind": kind, key: value})
    with pytest.raises(UserError) as raised:
        check_config(config)
    assert str(raised.value) == (
        f"--config.optimizer.{key}={value}: is of optimizer.kind={other}, and this one is {kind}; "
        f"leave it at {default}"
    )
    config.optimizer.kind = other
    check_config(config)


@pytest.mark.parametrize("name", MODELS)
def test_settings_of_every_network_hold(name):
    config = default_config()
    config.model = model_settings(name)
    check_config(config)


def test_none_is_not_a_folder():
    config = default_config()
    config.data.manual_dir, config.data.data_dir = "none", "prepared"
    absolute = with_absolute_paths(config).data
    assert (absolute.manual_dir, absolute.data_dir) == ("none", str(Path("prepared").resolve()))


def test_imagenet_names_weights_and_no_folder():
    config = default_config()
    config.backbone_weights, config.data.manual_dir = "imagenet", "imagenet"
    absolute = with_absolute_paths(config)
    assert absolute.backbone_weights == "imagenet"
    assert absolute.data.manual_dir == str(Path("imagenet").resolve())
