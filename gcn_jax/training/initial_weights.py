"""The start of a new run: another run, or the weights of a backbone."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
from flax import traverse_util
from ml_collections import ConfigDict

from gcn_jax.errors import UserError, check_choice, setting
from gcn_jax.models.network import SegmentationNetwork
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.models.pretrained.info import read_info
from gcn_jax.models.pretrained.restore import load_pretrained
from gcn_jax.training.optimizer import BACKBONE
from gcn_jax.weights import IMAGENET, first_kernel
from gcn_jax.weights.backbone import load_backbone_weights, read_backbone_preprocessing
from gcn_jax.weights.matching import excepted_layers
from gcn_jax.workdir import Workdir


def with_preprocessing(config: ConfigDict, workdir: str | Path) -> ConfigDict:
    """Fill in `data.mean` and `data.std` where the config leaves them open.

    They are those of the run that the workdir holds already, else of what it starts from, since
    weights are of use with their preprocessing alone, else ImageNet's; for one channel the mean of
    RGB's three.

    Args:
        config: The settings of a run.
        workdir: Its folder, which need not exist.

    Raises:
        UserError: What the run starts from does not say how its images are prepared, or its images
            have other channels.
    """
    if config.data.mean is not None and config.data.std is not None:
        return config
    mean, std = (
        _of_channels(numbers, config.data.channels)
        for numbers in _preprocessing(config, Path(workdir))
    )
    config = config.copy_and_resolve_references()
    config.data.mean = config.data.mean or mean
    config.data.std = config.data.std or std
    return config


def start_variables(
    config: ConfigDict, model: SegmentationNetwork, variables: dict[str, Any]
) -> dict[str, Any]:
    """Return the parameters and statistics that a new run starts with.

    Args:
        config: Names one of these: `init_from`, a workdir whose best checkpoint is taken (the
            moving averages, where it kept them), whole but for the layers of `init_except`, or,
            without it, `backbone_weights`, which leaves the head as it is: weights from elsewhere,
            or such a workdir of any network with this backbone, such as a classifier, without the
            layers that fit a pattern of `backbone_except`.
        model: The network.
        variables: Its `params` and `batch_stats`, made from the seed.

    Raises:
        UserError: The weights cannot be read or do not fit; the message lists what differs. Or
            `init_except` names a layer that neither network has.
    """
    if config.init_from:
        there = load_pretrained(config.init_from).variables
        for layer in config.init_except:
            check_choice("layer in init_except", layer, variables["params"] | there["params"])
        start = {name: _without(there[name], config.init_except) for name in variables}
        here = {name: _without(tree, config.init_except) for name, tree in variables.items()}
        _check_fit(here, start, f"init_from={config.init_from}", config.init_except)
        start = jax.device_get(start)
        return {name: {**tree, **start[name]} for name, tree in variables.items()}
    source = config.backbone_weights
    if _is_workdir(source):
        there = load_pretrained(source).variables
        excepted = excepted_layers(variables["params"][BACKBONE], config.backbone_except)
        backbone, here = (
            {name: _without(tree[name].get(BACKBONE, {}), excepted) for name in variables}
            for tree in (there, variables)
        )
        backbone = first_kernel.with_channels(backbone, config.data.channels)
        _check_fit(here, backbone, f"the backbone of backbone_weights={source}")
    else:
        backbone = load_backbone_weights(source, model, config.backbone_except)
    backbone = jax.device_get(backbone)
    return {
        name: {**tree, BACKBONE: {**tree.get(BACKBONE, {}), **backbone[name]}}
        if name in backbone
        else tree
        for name, tree in variables.items()  # a network without batch-norm has no batch_stats
    }


def told_of_first_kernel(config: ConfigDict) -> str:
    """Return what `start_variables` does with the backbone's first kernel, or ""; see `told`."""
    source = config.backbone_weights
    if _is_workdir(source) and read_info(source).channels != 3:
        return ""
    return first_kernel.told(config.data.channels)


def _without(tree: dict[str, Any], layers: Collection[str]) -> dict[str, Any]:
    return {name: leaves for name, leaves in tree.items() if name not in layers}


def _is_workdir(source: str) -> bool:
    return source != IMAGENET and Workdir(source).has_model


def _preprocessing(config: ConfigDict, workdir: Path) -> tuple[tuple[float, ...], ...]:
    if Workdir(workdir).has_model:
        info = read_info(workdir)
    elif config.init_from:
        info = read_info(config.init_from)
    elif config.backbone_weights and _is_workdir(config.backbone_weights):
        info = read_info(config.backbone_weights)
    elif config.backbone_weights:
        return read_backbone_preprocessing(config.backbone_weights)
    else:
        return IMAGENET_MEAN, IMAGENET_STD
    return info.mean, info.std


def _of_channels(numbers: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(numbers) == channels:
        return numbers
    if channels == 1:
        return (sum(numbers) / len(numbers),)
    raise UserError(
        f"nothing says mean and standard deviation of {channels} channels (data.channels): set "
        f"{setting('data.mean')} and data.std, {channels} numbers each, in 0..255"
    )


def _check_fit(
    here: dict[str, Any],
    there: dict[str, Any],
    origin: str,
    excepted: tuple[str, ...] | None = None,
) -> None:
    """Raise `UserError` unless two trees have the same leaves; list the first that differ.

    Layers can start from the seed where `excepted` has those that do: the message names all.
    """
    left, right = (
        {path: leaf.shape for path, leaf in traverse_util.flatten_dict(tree, sep="/").items()}
        for tree in (here, there)
    )
    differing = [
        f"{path}: {left.get(path, 'none')} here, {right.get(path, 'none')} there"
        for path in sorted(left.keys() | right.keys())
        if left.get(path) != right.get(path)
    ]
    if not differing:
        return
    message = f"{origin} does not fit this network, {len(differing)} leaves differ: "
    message += _first(8, differing, "; ")
    if excepted is not None:
        layers = dict.fromkeys((*excepted, *(path.split("/")[1] for path in differing)))
        names = _first(20, [f'"{layer}"' for layer in layers], ", ")
        message += f". To start these layers from the seed: {setting('init_except')}='({names})'"
    raise UserError(message)


def _first(count: int, texts: list[str], separator: str) -> str:
    """Join the first texts, and say how many are left out."""
    rest = [f"and {len(texts) - count} more"] if len(texts) > count else []
    return separator.join(texts[:count] + rest)
