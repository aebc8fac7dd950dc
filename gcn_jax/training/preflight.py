"""The check, before anything that takes long, of everything that a run needs."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from gcn_jax import data, models
from gcn_jax.data.extra_augment import ExtraAugment
from gcn_jax.errors import UserError
from gcn_jax.hub import is_on_hub
from gcn_jax.models.pretrained.info import read_info
from gcn_jax.training.config import check_config, check_same_run
from gcn_jax.training.crops import check_batches, with_crop_size
from gcn_jax.training.devices import make_mesh
from gcn_jax.training.initial_weights import with_preprocessing
from gcn_jax.training.parts import make_model, make_parts
from gcn_jax.training.rows import check_rows
from gcn_jax.training.run import check_room, open_data, with_absolute_paths
from gcn_jax.training.trackers import check_installed
from gcn_jax.weights import IMAGENET, imagenet_file
from gcn_jax.weights.backbone import read_backbone_preprocessing
from gcn_jax.workdir import Workdir


class Need(NamedTuple):
    """Something that a run needs and has not.

    Attributes:
        what: The settings that ask for it.
        problem: What is wrong with it, and what to type.
    """

    what: str
    problem: UserError


def missing(config: ConfigDict, workdir: str | Path) -> list[Need]:
    """Look at all that a run needs; prepare data sets that lie there and are not prepared yet.

    Args:
        config: The settings.
        workdir: The run's folder, in which nothing is written.

    Returns:
        What is missing or does not fit, in the order in which it would stop the run.
    """
    config, folder = with_absolute_paths(config), Workdir(workdir)
    needs: list[Need] = []

    @contextlib.contextmanager
    def needed(what: str) -> Iterator[None]:
        try:
            yield
        except UserError as error:
            if str(error) not in (str(need.problem) for need in needs):
                needs.append(Need(what, error))

    with needed("settings"):
        check_config(config)
    with needed("workdir"):
        check_same_run(config, folder.path)
    with needed("trackers"):
        check_installed(config.trackers)
    with needed("devices"):
        make_mesh(config)
    if not needs:
        for what, spec in _splits(config):
            with needed(f"{what} {spec}"):
                data.open_split(spec, config.data)
        if folder.newest_step() is None:  # else the run goes on from there
            with needed("init_from" if config.init_from else "backbone_weights"):
                _check_start(config)
    if not needs:
        with needed("data.train and data.val"):
            train, val = open_data(config)
            config = with_crop_size(config, folder.path, train)
            model = make_model(config, len(train.class_names))
            check_rows(model, config.augment.crop_size, make_mesh(config).shape["height"])
            check_batches(config, train, val)
    if not needs and config.augment.extra:
        with needed("augment.extra"):
            ExtraAugment(config.augment.extra, len(train.class_names))
    return needs


def check_disk(config: ConfigDict, workdir: str | Path) -> None:
    """Check that there is room for the checkpoints of a run that needs nothing else.

    Args:
        config: The settings.
        workdir: The run's folder, which need not exist.

    Raises:
        UserError: There is not.
    """
    config = with_preprocessing(with_absolute_paths(config), workdir)
    train, _ = open_data(config)
    parts = make_parts(config, train, config.data.mean, config.data.std)
    check_room(Workdir(workdir), jax.eval_shape(parts.init, jax.random.key(0)))


def _splits(config: ConfigDict) -> Iterator[tuple[str, str]]:
    for spec in config.data.train:
        yield "data.train", re.sub(r"\*.*", "", spec)
    yield "data.val", config.data.val


def _check_start(config: ConfigDict) -> None:
    """Raise `UserError` where the run or the weights to start from are not there."""
    start = config.init_from or config.backbone_weights
    if not start:
        return
    if is_on_hub(start):
        if config.init_from:
            read_info(start)
        else:
            read_backbone_preprocessing(start)
    elif start == IMAGENET and not config.init_from:
        model = models.create_model(**config.model, num_classes=2)
        imagenet_file(model.backbone_weights)
    elif config.init_from or Path(start).is_dir():
        read_info(start)
        if Workdir(start).newest_step() is None:
            raise UserError(f"{start} has no checkpoint yet; train it to the end first")
    elif not Path(start).is_file():
        raise UserError(f"{start}: no such file")
