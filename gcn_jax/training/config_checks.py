"""Checks of settings: the type and range of every one, looked at before any work starts."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gcn_jax.errors import UserError, setting
from gcn_jax.training.trackers import NAMES

#: Steps are counted in int32.
_MOST_STEPS = 2**31 - 1
#: Px of a side of a crop, images of a batch, threads: what is above was not meant. (Where memory
#: ends sooner for a batch, `run.open_data` says so.)
_LONGEST_SIDE, _LARGEST_BATCH, _MOST_THREADS = 32_768, 2**22, 1_024
_LARGEST_EVAL_BATCH = 65_536


class Check(NamedTuple):
    """A check of one setting.

    Attributes:
        holds: Whether a value is one that the setting can have.
        meaning: What it can be, as "must be ..." goes on in the message.
    """

    holds: Callable[[Any], bool]
    meaning: str


def _whole(least: int, most: int) -> Check:
    def holds(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return Check(holds, f"a whole number from {least} to {most}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _number(least: float, most: float = math.inf) -> Check:
    end = "0 or more" if most == math.inf else f"from {least:g} to {most:g}"
    return Check(lambda value: _is_number(value) and least <= value <= most, f"a number, {end}")


_POSITIVE = Check(lambda value: _is_number(value) and value > 0, "a number above 0")
_BELOW_ONE = Check(
    lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 to 1, 1 left out"
)
_SWITCH = Check(lambda value: isinstance(value, bool), "True or False")
_TEXT = Check(lambda value: isinstance(value, str) and value != "", "a text that is not empty")
_TEXTS = Check(
    lambda value: isinstance(value, tuple | list) and all(map(_TEXT.holds, value)),
    "a tuple of texts",
)
_EVERY = _whole(1, _MOST_STEPS)
_COUNT_OR_REST = Check(
    lambda value: value == -1 or _whole(1, 2**20).holds(value), "a whole number above 0, or -1"
)


def _one_of(*values: Any) -> Check:
    return Check(lambda value: value in values, "one of " + ", ".join(map(str, values)))


def _or_none(check: Check) -> Check:
    return Check(lambda value: value is None or check.holds(value), f"None, or {check.meaning}")


def _tuple_of(check: Check, length: int, what: str) -> Check:
    def holds(value: Any) -> bool:
        is_tuple = isinstance(value, tuple | list) and len(value) == length
        return is_tuple and all(map(check.holds, value))

    return Check(holds, f"{what}, each {check.meaning}")


def _numbers_of(check: Check) -> Check:
    def holds(value: Any) -> bool:
        return isinstance(value, tuple | list) and all(map(check.holds, value))

    return Check(holds, f"(red, green, blue), or one of each channel, each {check.meaning}")


def _is_scale(value: Any) -> bool:
    return _SCALES.holds(value) and value[0] <= value[1]


def _are_boundaries(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(map(_EVERY.holds, value))


def _are_labels(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(map(_whole(-1, 65_535).holds, value))


def _is_function(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r".+\.py:[^\W\d]\w*", value) is not None


_SCALES = _tuple_of(_number(0.01, 100), 2, "(lowest, highest)")
_LOSS_WEIGHT = _number(0)

#: Every setting of `default_config`, but those of the network.
CHECKS: Mapping[str, Check] = {
    "seed": _whole(0, 2**32 - 1),
    "num_devices": _whole(0, 2**20),
    "mesh.data": _COUNT_OR_REST,
    "mesh.height": _COUNT_OR_REST,
    "remat": _SWITCH,
    "init_from": _or_none(_TEXT),
    "backbone_weights": _or_none(_TEXT),
    "init_except": _TEXTS,
    "backbone_except": _TEXTS,
    "data.train": Check(
        lambda value: _TEXTS.holds(value) and len(value) > 0,
        'a tuple of data sets and splits, at least one, such as ("shapes:train",)',
    ),
    "data.val": _TEXT,
    "data.data_dir": _or_none(_TEXT),
    "data.manual_dir": _or_none(_TEXT),
    "data.mean": _or_none(_numbers_of(_number(0, 255))),
    "data.std": _or_none(_numbers_of(_POSITIVE)),
    "data.channels": _whole(1, 512),
    "data.coco_year": _one_of(2014, 2017),
    "data.coco_min_area": _whole(0, _MOST_STEPS),
    "data.mask_suffix": _or_none(_TEXT),
    "data.reduce_zero_label": _SWITCH,
    "data.void_labels": Check(
        _are_labels, "a tuple of values of masks, whole numbers from -1 to 65535, such as (11,)"
    ),
    "data.bit_depth": _or_none(_whole(8, 16)),
    "data.num_threads": _whole(1, _MOST_THREADS),
    "data.cache_in_memory": _SWITCH,
    "data.cache_features": _SWITCH,
    "augment.crop_size": _or_none(_tuple_of(_whole(1, _LONGEST_SIDE), 2, "(height, width) in px")),
    "augment.flip": _SWITCH,
    "augment.scale": _or_none(
        Check(_is_scale, f"{_SCALES.meaning}, the lowest not above the highest")
    ),
    "augment.jitter": _number(0, 1),
    "augment.rotation": _number(0, 180),
    "augment.blur": _SWITCH,
    "augment.vertical_flip": _SWITCH,
    "augment.quarter_turns": _SWITCH,
    "augment.extra": _or_none(Check(_is_function, "a function of a file, FILE.py:FUNCTION")),
    "loss.cross_entropy": _LOSS_WEIGHT,
    "loss.focal": _LOSS_WEIGHT,
    "loss.ohem": _LOSS_WEIGHT,
    "loss.dice": _LOSS_WEIGHT,
    "loss.lovasz_softmax": _LOSS_WEIGHT,
    "loss.class_weights": _or_none(_TEXT),
    "loss.label_smoothing": _number(0, 1),
    "loss.focal_gamma": _number(0),
    "loss.ohem_threshold": _number(0, 1),
    "loss.ohem_min_kept": _number(0, 1),
    "batch_size": _whole(1, _LARGEST_BATCH),
    "num_steps": _EVERY,
    "optimizer.kind": _one_of("sgd", "adamw"),
    "optimizer.learning_rate": _POSITIVE,
    "optimizer.momentum": _BELOW_ONE,
    "optimizer.betas": _tuple_of(_BELOW_ONE, 2, "a pair"),
    "optimizer.eps": _POSITIVE,
    "optimizer.weight_decay": _number(0),
    "optimizer.schedule": _one_of("constant", "step", "poly", "cosine"),
    "optimizer.warmup_steps": _whole(0, _MOST_STEPS),
    "optimizer.poly_power": _POSITIVE,
    "optimizer.step_boundaries": Check(_are_boundaries, "a tuple of steps, such as (600, 800)"),
    "optimizer.step_factor": _POSITIVE,
    "optimizer.head_multiplier": _number(0),
    "optimizer.layer_decay": Check(
        lambda value: _is_number(value) and 0 < value <= 1, "a number above 0 and at most 1"
    ),
    "optimizer.bias_multiplier": _number(0),
    "optimizer.learn_frozen_batch_norm": _SWITCH,
    "optimizer.clip_norm": _number(0),
    "optimizer.accumulate": _whole(1, _LARGEST_BATCH),
    "optimizer.ema_decay": _BELOW_ONE,
    "log_every": _EVERY,
    "eval_every": _EVERY,
    "patience": _whole(0, _MOST_STEPS),
    "checkpoint_every": _EVERY,
    "eval_batch_size": _whole(1, _LARGEST_EVAL_BATCH),
    "eval_train_images": _whole(0, _MOST_STEPS),
    "trackers": Check(
        lambda value: isinstance(value, tuple | list) and all(one in NAMES for one in value),
        f"a tuple of names: {', '.join(NAMES)}",
    ),
}

#: Numbers among the fields of networks; names and switches the networks check themselves.
MODEL_CHECKS: Mapping[str, Check] = {
    "model.kernel_size": Check(
        lambda value: _whole(1, 1023).holds(value) and value % 2 == 1,
        "an odd whole number from 1 to 1023",
    ),
    "model.features": _whole(1, 65_536),
    "model.branch_features": _whole(1, 65_536),
    "model.stack_channels": _or_none(_whole(1, 65_536)),
    "model.stochastic_depth": _or_none(_BELOW_ONE),
    "model.width": _number(0.01, 16),
}

#: Settings of one kind of optimiser alone.
_OF_KIND = {"momentum": "sgd", "betas": "adamw", "eps": "adamw"}


def check_values(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Check the type and range of each setting.

    Args:
        values: The settings by dotted name, such as "optimizer.momentum".
        defaults: The defaults by dotted name, for the advice.

    Raises:
        UserError: Some are not what they can be; all of them are named.
    """
    problems = []
    for key, check in {**CHECKS, **MODEL_CHECKS}.items():
        if key in values and not check.holds(values[key]):
            problem = f"{setting(key)}={values[key]}: must be {check.meaning}"
            default = defaults.get(key)
            advice = f"; the default is {default}" if check.holds(default) else ""
            problems.append(problem + advice)
    kind = values.get("optimizer.kind")
    for name, its in _OF_KIND.items():
        key = f"optimizer.{name}"
        if kind != its and key in values and values[key] != defaults[key]:
            problems.append(
                f"{setting(key)}={values[key]}: is of optimizer.kind={its}, and this one is "
                f"{kind}; leave it at {defaults[key]}"
            )
    if problems:
        raise UserError(". ".join(problems))


def check_reusable(
    values: Mapping[str, Any], defaults: Mapping[str, Any], *, is_frozen: bool
) -> None:
    """Check that `data.cache_features` can be: an image has the same features at every step.

    Args:
        values: The settings by dotted name.
        defaults: The defaults by dotted name.
        is_frozen: Whether the backbone stays as it is.

    Raises:
        UserError: It has not; the message says what to set.
    """
    key = setting("data.cache_features")
    if not is_frozen:
        raise UserError(
            f"{key}=True: {values['model.name']} trains its backbone, whose features change at "
            "every step; choose a network whose backbone stays as it is, such as "
            "linear_dinov2_small, or set it to False"
        )
    augment = [name for name in defaults if name.startswith("augment.")]
    kept = ("augment.crop_size", "augment.flip")
    on = [name for name in augment if name not in kept and values[name] != defaults[name]]
    if on:
        off = " ".join(f"{setting(name)}={defaults[name]}" for name in on)
        raise UserError(
            f"{key}=True: images can be mirrored and nothing else, so that they have the same "
            f"features at every step; set {off}, or it to False"
        )
