"""The parts of a training run that a config describes: network, optimiser, step, state."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from ml_collections import ConfigDict

from gcn_jax import data, models
from gcn_jax.models.network import SegmentationNetwork
from gcn_jax.training.objective import make_objective
from gcn_jax.training.optimizer import make_optimizer, make_schedule
from gcn_jax.training.state import TrainState, create_state
from gcn_jax.training.step import make_train_step


class Parts(NamedTuple):
    """The parts of a training run.

    Attributes:
        model: The network.
        schedule: The learning rate of each step.
        step: One training step, `(state, batch) -> (state, metrics)`; see `make_train_step`.
        init: The state that a run begins with, from a key; everything is drawn from it.
    """

    model: SegmentationNetwork
    schedule: optax.Schedule
    step: Callable[..., Any]
    init: Callable[[jax.Array], TrainState]


def make_model(config: ConfigDict, num_classes: int) -> SegmentationNetwork:
    """Return the network of a run.

    Args:
        config: The settings of the run.
        num_classes: Number of classes of its data.

    Raises:
        UserError: A setting makes no sense for the network.
    """
    return models.create_model(
        **config.model,
        num_classes=num_classes,
        in_channels=config.data.channels,
        remat=config.remat,
    )


def make_parts(
    config: ConfigDict,
    source: "data.Source | data.Mixture",
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> Parts:
    """Build the parts of a run.

    Args:
        config: The settings of the run.
        source: The training data: its classes, and for class weights their frequencies.
        mean: Subtracted from images, RGB in 0..255.
        std: Their divisor then.

    Raises:
        UserError: A setting makes no sense for the network or the data.
    """
    settings = config.optimizer
    objective = make_objective(config.loss, source)
    model = make_model(config, len(source.class_names))
    schedule = make_schedule(settings, config.num_steps)
    tx = make_optimizer(
        settings,
        schedule,
        frozen_batch_norm=config.model.get("frozen_batch_norm", False),
        frozen_backbone=getattr(model, "frozen_backbone", False),
        distance_to_head=getattr(model.make_backbone(), "distance_to_head", None),
    )
    step = make_train_step(
        model,
        tx,
        mean=mean,
        std=std,
        seed=config.seed,
        objective=objective,
        accumulate=settings.accumulate,
        ema_decay=settings.ema_decay,
    )
    has_ema = settings.ema_decay > 0
    return Parts(model, schedule, step, lambda rng: create_state(model, tx, rng, ema=has_ema))
