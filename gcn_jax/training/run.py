"""A run before its first step: its data, its devices, the state that it begins with."""

import dataclasses
import math
import shutil
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from gcn_jax import atomic, data, mesh
from gcn_jax.data.classes import class_colors
from gcn_jax.errors import UserError, setting
from gcn_jax.hub import is_on_hub
from gcn_jax.models.backbones.registry import FreezableNetwork
from gcn_jax.models.pretrained.info import ModelInfo, read_info, write_info
from gcn_jax.terminal import say
from gcn_jax.training.checkpoints import Checkpoints
from gcn_jax.training.features import Features, keep_all
from gcn_jax.training.initial_weights import start_variables, told_of_first_kernel
from gcn_jax.training.parts import Parts
from gcn_jax.training.state import TrainState
from gcn_jax.weights import IMAGENET, LICENCES
from gcn_jax.workdir import Workdir


class Run(NamedTuple):
    """Everything about a run that stays as it is.

    Attributes:
        config: The settings.
        folder: Where everything is kept.
        device_mesh: The devices, over which a batch is split by examples and by rows.
        train: The training data.
        val: The validation data.
        augment: The transform of training.
        parts: Network, optimiser and step.
        checkpoints: The checkpoints in the folder.
        features: The features of its backbone, where they are kept.
    """

    config: ConfigDict
    folder: Workdir
    device_mesh: jax.sharding.Mesh
    train: "data.Source | data.Mixture"
    val: "data.Source"
    augment: "data.Augment"
    parts: Parts
    checkpoints: Checkpoints
    features: Features | None = None

    @property
    def info(self) -> ModelInfo:
        """The content of `model.json`."""
        num_classes = len(self.train.class_names)
        fields = self.config.model.to_dict() | {"num_classes": num_classes}
        if self.config.data.channels != 3:
            fields["in_channels"] = self.config.data.channels
        is_deep = self.val.image_dtype == "uint16"  # as are the images that are trained on
        return ModelInfo(
            name=fields.pop("name"),
            fields=fields,
            class_names=self.train.class_names,
            palette=tuple(class_colors(self.train.palette, num_classes)),
            mean=tuple(self.config.data.mean),
            std=tuple(self.config.data.std),
            bit_depth=self.config.data.get("bit_depth") or (16 if is_deep else None),
        )


def open_data(config: ConfigDict) -> "tuple[data.Source | data.Mixture, data.Source]":
    """Open what is trained on, and what is validated on.

    Args:
        config: The settings.

    Raises:
        UserError: See `data.open_split`; or the two have different classes.
    """
    train = data.open_training_source(config.data.train, config.data)
    val = data.open_split(config.data.val, config.data)
    if train.class_names != val.class_names:
        raise UserError(f"{train.name} and {val.name} have different classes")
    return train, val


def start(run: Run) -> tuple[TrainState, Any, list[Any]]:
    """Return the state to go on from, the stream of batches there, and losses not yet logged.

    The state is the first of these that there is: 1. The newest readable checkpoint in the workdir.
    2. The best one of `init_from`, for parameters and statistics.  3. `backbone_weights`, for those
    of the backbone.  4. The seed.

    Args:
        run: The run; its settings and the model's description are written into its folder.

    Raises:
        UserError: The data are others than those that the workdir was trained on, what to start
            from cannot be read or does not fit, or there is no room for checkpoints.
    """
    before = _info_before(run)
    _check_classes(run, before)
    config, everywhere = run.config, mesh.replicated(run.device_mesh)
    batches = data.training_batches(
        run.train,
        run.augment,
        batch_size=config.batch_size,
        seed=config.seed,
        num_threads=config.data.num_threads,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    losses: list[Any] = []
    state = jax.jit(run.parts.init, out_shardings=everywhere)(jax.random.key(config.seed))
    restored = run.checkpoints.restore(state)
    if restored is not None:
        state, position = restored
        if position["num_examples"] != len(run.train):
            raise UserError(
                f"{run.train.name} has {len(run.train)} images now, and had "
                f"{position['num_examples']} when {run.folder.path} was trained; to go on from "
                f"what it has learnt, name another --workdir and {setting('init_from')}="
                f"{run.folder.path}"
            )
        _check_extra(run, int(state.step), position.get("extra_augment"))
        batches.set_state(position["iterator"])
        losses = list(position.get("losses", []))  # runs before this was kept have none
    elif config.init_from or config.backbone_weights:
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        variables = start_variables(config, run.parts.model, variables)
        state = jax.jit(TrainState.with_variables, out_shardings=everywhere)(state, variables)
    if jax.process_index() == 0:
        if int(state.step) < config.num_steps:
            check_room(run.folder, state)
        atomic.write(run.folder.config_file, config.to_json(indent=2))
        info = run.info
        if before is not None:  # the colours of a run stay, whatever is the default now
            info = dataclasses.replace(info, palette=before.palette)
        write_info(run.folder.path, info)
    return state, batches, losses


def with_features(run: Run, state: TrainState) -> Run:
    """Return a run with the features of its backbone, if they are to be kept.

    Those of its images are computed now where they are not there, unless the run has ended.

    Args:
        run: The run.
        state: Its state before the first step.

    Raises:
        UserError: See `Features.keep`.
    """
    config = run.config
    if not config.data.cache_features:
        return run
    model = run.parts.model
    assert isinstance(model, FreezableNetwork)  # as check_config has found
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    features = Features(model, variables, config.data.mean, config.data.std)
    if int(state.step) < config.num_steps:
        say(keep_all(features, run.train, run.val, run.augment))
    return run._replace(features=features)


def _info_before(run: Run) -> ModelInfo | None:
    """Read the description of the model that the workdir has; None where it has none to go by."""
    try:
        return read_info(run.folder.path) if run.folder.has_model else None
    except UserError:  # a damaged description, which is written anew
        return None


def _check_classes(run: Run, info: ModelInfo | None) -> None:
    """Raise `UserError` where the workdir was trained for other classes than the data have."""
    now = tuple(run.train.class_names)
    if info is None or info.class_names == now:
        return
    before = info.class_names
    new, gone = ([n for n in a if n not in b] for a, b in ((now, before), (before, now)))
    changes = [f"{', '.join(n)} {what}" for n, what in ((new, "new"), (gone, "gone")) if n]
    raise UserError(
        f"{run.folder.path} was trained for {len(before)} classes, and {run.train.name} has "
        f"{len(now)} ({'; '.join(changes) or 'in another order'}); to go on from what it has "
        f"learnt, name another --workdir and {setting('init_from')}={run.folder.path} (where the "
        "number of classes is another, it then names the layers that begin anew)"
    )


def _check_extra(run: Run, step: int, digest_before: str | None) -> None:
    """Say where the file of `augment.extra` is not what it was when a step was saved."""
    extra = run.augment.extra
    if extra is not None and extra.digest != digest_before:
        warnings.warn(
            f"the file of augment.extra={extra} has changed since step {step} of {run.folder.path} "
            "was saved; from here on the run is not the one that it would have been",
            stacklevel=2,
        )


def check_room(folder: Workdir, state: TrainState) -> None:
    """Check that the next two checkpoints will find room.

    Args:
        folder: The run's folder, which need not exist.
        state: A state, or the shapes of one.

    Raises:
        UserError: They will not.
    """
    leaves = jax.tree.leaves(state)
    needed = 2 * sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
    there = folder.path.resolve()
    free = shutil.disk_usage(next(p for p in (there, *there.parents) if p.exists())).free
    if free < needed:
        raise UserError(
            f"{folder.path} has {free / 2**20:,.0f} MiB left, and two checkpoints take "
            f"{needed / 2**20:,.0f}; make room, or name another --workdir"
        )


def headline(run: Run, state: TrainState) -> str:
    """Return the line that says what is trained, on what, and from where.

    Args:
        run: The run.
        state: Its state before the first step.
    """
    config, first_step, workdir = run.config, int(state.step), run.folder.path
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    device = run.device_mesh.devices.flat[0].device_kind
    begin = f"resuming {workdir} after step {first_step}" if first_step else f"training {workdir}"
    if config.init_from and not first_step:
        begin += f" from {config.init_from}"
        begin += f", except {', '.join(config.init_except)}" if config.init_except else ""
    elif config.backbone_weights and not first_step:
        begin += f", its backbone from {config.backbone_weights}"
        published = config.backbone_weights == IMAGENET or is_on_hub(config.backbone_weights)
        licence = LICENCES.get(run.parts.model.backbone_weights)
        begin += f" ({licence})" if published and licence else ""
        begin += f", except {', '.join(config.backbone_except)}" if config.backbone_except else ""
        begin += told_of_first_kernel(config)
    return (
        f"{begin}: {config.model.name}, {parameters:,} parameters, {len(run.train)} images of "
        f"{run.train.name}, {len(run.val)} of {run.val.name}, {run.device_mesh.size} x {device}"
    )


def with_absolute_paths(config: ConfigDict) -> ConfigDict:
    """Make folders and files absolute, so that the workdir can be used from anywhere."""
    config = config.copy_and_resolve_references()
    for section, key in (
        (config.data, "data_dir"),
        (config.data, "manual_dir"),
        (config, "init_from"),
        (config, "backbone_weights"),
        (config.augment, "extra"),
    ):
        value = section[key]
        is_name = key == "backbone_weights" and value == IMAGENET
        if value and value.lower() != "none" and not is_name and not is_on_hub(value):
            section[key] = str(Path(value).expanduser().resolve())
    return config
