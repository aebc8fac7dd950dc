"""SGD and AdamW, their schedules, and which parameters they treat differently."""

import operator
from collections.abc import Callable
from typing import Any

import jax
import optax
from flax import traverse_util
from ml_collections import ConfigDict

from gcn_jax.errors import UserError, check_choice, setting

#: The key of a network's parameters under which its backbone is.
BACKBONE = "backbone"


def make_schedule(settings: ConfigDict, num_steps: int) -> optax.Schedule:
    """Make the learning rate as a function of the step.

    Args:
        settings: `config.optimizer`. "constant"; "step": times `step_factor` after each of
            `step_boundaries`; "poly": times `(1 - step / num_steps) ** poly_power` (DeepLab-v2).
            "cosine": times `(1 + cos(pi * step / num_steps)) / 2`.
            Each rises linearly from 0 over the first `warmup_steps`.
        num_steps: The length of the run.

    Raises:
        UserError: The schedule is unknown.
    """
    check_choice("optimizer.schedule", settings.schedule, ("constant", "step", "poly", "cosine"))
    rate, warmup = settings.learning_rate, settings.warmup_steps
    if settings.schedule == "constant":
        schedule = optax.constant_schedule(rate)
    elif settings.schedule == "step":
        drops = dict.fromkeys(settings.step_boundaries, settings.step_factor)
        schedule = optax.piecewise_constant_schedule(rate, drops)
    elif settings.schedule == "cosine":
        schedule = optax.cosine_decay_schedule(rate, num_steps)
    else:
        schedule = optax.polynomial_schedule(rate, 0.0, settings.poly_power, num_steps)
    if not warmup:
        return schedule
    rise = optax.linear_schedule(0.0, 1.0, warmup)
    return lambda step: rise(step) * schedule(step)


def make_optimizer(
    settings: ConfigDict,
    schedule: optax.Schedule,
    *,
    frozen_batch_norm: bool,
    frozen_backbone: bool = False,
    distance_to_head: Callable[[tuple[str, ...]], int] | None = None,
) -> optax.GradientTransformation:
    """Make the optimiser of a run, for a gradient g, parameters w, a learning rate and a decay.

    "sgd" (with momentum) is `v = momentum * v + (g + decay * w)`, `w = w - rate * v`. "adamw"
    (Loshchilov and Hutter, ICLR 2019) keeps the averages m of g and v of g^2, by `betas`, both
    divided by `1 - beta^step`: `w = w - rate * (m / (sqrt(v) + eps) + decay * w)`, as PyTorch's.

    Weight decay is for kernels only: not for biases, norms, layer scales, positions and tokens.
    `clip_norm` bounds the norm of the loss's gradient. What scales a rate scales its decay, too:
    `head_multiplier` that of every layer outside the backbone, `bias_multiplier` that of the biases
    of all convolutions, `layer_decay ** distance_to_head(path)` that of a parameter of the
    backbone. With frozen batch-norm its scales and biases stay, unless `learn_frozen_batch_norm` is
    set: then its statistics alone do.

    Args:
        settings: `config.optimizer`.
        schedule: The learning rate, from `make_schedule`.
        frozen_batch_norm: `config.model.frozen_batch_norm`.
        frozen_backbone: Whether nothing of the backbone moves, decay included.
        distance_to_head: The backbone's own (`Backbone.make`); None where it has none.

    Returns:
        An optax gradient transformation over the parameters of a network.

    Raises:
        UserError: The kind is unknown, or the backbone has no rule for `layer_decay`.
    """
    stays = frozen_batch_norm and not settings.learn_frozen_batch_norm
    rests = stays or frozen_backbone

    def at_rest(params: Any) -> Any:
        return _mark(
            params,
            lambda path, paths: (
                (stays and _is_batch_norm(path, paths)) or (frozen_backbone and path[0] == BACKBONE)
            ),
        )

    # The state is a tuple with one part for each: SGD's are those in the checkpoints of older runs.
    clip = optax.clip_by_global_norm(settings.clip_norm) if settings.clip_norm else optax.identity()
    decay = optax.add_decayed_weights(settings.weight_decay, mask=_kernels)
    check_choice("optimizer.kind", settings.kind, ("sgd", "adamw"))
    if settings.kind == "sgd":
        parts = [clip, decay, optax.trace(settings.momentum)]
    else:
        adam = optax.scale_by_adam(*settings.betas, eps=settings.eps)
        if rests:  # no averages of what stays
            adam = optax.masked(adam, lambda params: jax.tree.map(operator.not_, at_rest(params)))
        parts = [clip, adam, decay]
    if settings.layer_decay != 1:
        parts.append(_scale_by_distance(settings.layer_decay, distance_to_head))
    return optax.chain(
        *parts,
        optax.masked(optax.scale(settings.head_multiplier), _outside_backbone),
        optax.masked(optax.scale(settings.bias_multiplier), _conv_biases),
        optax.masked(optax.set_to_zero(), at_rest) if rests else optax.identity(),
        optax.scale_by_learning_rate(schedule),
    )


def _scale_by_distance(
    decay: float, distance_to_head: Callable[[tuple[str, ...]], int] | None
) -> optax.GradientTransformation:
    """Scale the updates of the backbone by `decay ** distance_to_head(path below it)`."""
    if distance_to_head is None:
        raise UserError(
            f"{setting('optimizer.layer_decay')}={decay}: this backbone does not say how far its "
            "layers are from the head; leave it at 1.0"
        )

    def scale(path: Any, update: jax.Array) -> jax.Array:
        return update * decay ** distance_to_head(path[1:]) if path[0] == BACKBONE else update

    return optax.stateless(lambda updates, _: traverse_util.path_aware_map(scale, updates))


def _kernels(params: Any) -> Any:
    return _mark(params, lambda path, _: path[-1] == "kernel")


def _outside_backbone(params: Any) -> Any:
    return _mark(params, lambda path, _: path[0] != BACKBONE)


def _conv_biases(params: Any) -> Any:
    return _mark(params, lambda path, paths: path[-1] == "bias" and not _is_norm(path, paths))


def _is_batch_norm(path: tuple[str, ...], paths: Any) -> bool:
    """Say whether a batch-norm's: their names have "bn"; layer norms learn as other layers do."""
    return _is_norm(path, paths) and "bn" in path[-2]


def _is_norm(path: tuple[str, ...], paths: Any) -> bool:
    return (*path[:-1], "scale") in paths  # which no other layer has; its bias counts too


def _mark(params: Any, predicate) -> Any:
    """Make a tree of booleans: `predicate(path of the leaf, all paths)`."""
    paths = traverse_util.flatten_dict(params)
    return traverse_util.unflatten_dict({path: predicate(path, paths) for path in paths})
