"""One step of training: a pure function of the state and a batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gcn_jax.models.backbones.registry import FEATURES
from gcn_jax.models.network import AUXILIARY, SegmentationNetwork
from gcn_jax.models.preprocessing import normalize
from gcn_jax.training.objective import MEAN_CROSS_ENTROPY, Objective
from gcn_jax.training.state import TrainState

Batch = dict[str, jax.Array]


def make_train_step(
    model: SegmentationNetwork,
    tx: optax.GradientTransformation,
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    seed: int,
    objective: Objective = MEAN_CROSS_ENTROPY,
    accumulate: int = 1,
    ema_decay: float = 0.0,
) -> Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]:
    """Make the function that a run jits once and calls for each batch.

    Under `jit` with a batch that is split over a mesh, the loss, its gradient and the statistics
    of batch-norm are those of the whole batch.

    Args:
        model: The network. Its `label_stride` s, where it has one, says that in training its logits
            are `[N, ceil(H / s), ceil(W / s), C]`, for the labels of every s-th pixel. Logits that
            it sows (`sow_auxiliary`) add to the loss; they have the same s, or, where it has
            `auxiliary_strides`, name -> s, those, which may be fractions.
        tx: Its optimiser.
        mean: What is subtracted from images, RGB in 0..255.
        std: By what they are divided then.
        seed: The seed of dropout and the like; the key of a step depends on the seed and the step.
        objective: What is minimised.
        accumulate: In how many parts a batch is computed, one after the other, to save memory.
            The gradient is that of the whole batch; batch-norm sees each part by itself.
        ema_decay: The decay of the moving averages of parameters and statistics, where the state
            keeps them; in the first steps it is less, `(1 + step) / (10 + step)`.

    Returns:
        `train_step(state, batch) -> (state, metrics)`.
        The batch has "image", uint8 `[N, H, W, 3]`, and "label", uint8 `[N, H, W]`.
        Whatever else it has are the features `[N, h, w, C]` of a backbone that stays as it is, by
        their names, such as "res5"; the backbone is not run then.
        For `accumulate > 1` each has another axis of that length in front.
        The metrics have "loss", float32 `[]`, auxiliary losses included.
    """
    stride, strides = model.label_stride, model.auxiliary_strides

    def part_loss(params, batch_stats, part: Batch, rng: jax.Array, counts: dict[float, Any]):
        variables = {"params": params, "batch_stats": batch_stats}
        if features := {name: part[name] for name in part.keys() - {"image", "label"}}:
            variables[FEATURES] = features
        logits, updates = model.apply(
            variables,
            normalize(part["image"], jnp.asarray(mean), jnp.asarray(std)),
            train=True,
            rngs={"dropout": rng},
            mutable=["batch_stats", AUXILIARY],
        )

        def loss_of(logits: jax.Array, stride: float) -> jax.Array:
            labels = _subsample(part["label"], stride)
            return objective(logits=logits, labels=labels, counts=counts[stride])

        loss = loss_of(logits, stride)
        for name, (weight, auxiliary) in updates.get(AUXILIARY, {}).items():
            loss += weight * loss_of(auxiliary, strides[name] if strides else stride)
        return loss, updates.get("batch_stats", batch_stats)

    gradient = jax.value_and_grad(part_loss, has_aux=True)

    def batch_gradient(state: TrainState, batch: Batch, rng: jax.Array):
        counts = {
            every: objective.counts(_subsample(batch["label"], every))
            for every in {stride, *strides.values()}
        }
        if accumulate == 1:
            (loss, stats), grads = gradient(state.params, state.batch_stats, batch, rng, counts)
            return loss, stats, grads

        def add_part(carry, part_and_rng):
            loss, stats, grads = carry
            (part_loss, stats), part_grads = gradient(state.params, stats, *part_and_rng, counts)
            return (loss + part_loss, stats, jax.tree.map(jnp.add, grads, part_grads)), None

        start = (jnp.zeros(()), state.batch_stats, jax.tree.map(jnp.zeros_like, state.params))
        parts = (batch, jax.random.split(rng, accumulate))
        return jax.lax.scan(add_part, start, parts)[0]

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        rng = jax.random.fold_in(jax.random.key(seed), state.step)
        loss, batch_stats, grads = batch_gradient(state, batch, rng)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = state.ema
        if ema is not None:
            # The average starts at random weights: at first it forgets them faster.
            decay = jnp.minimum(ema_decay, (1 + state.step) / (10 + state.step))
            new = {"params": params, "batch_stats": batch_stats}
            ema = optax.incremental_update(new, ema, 1 - decay)
        state = state.replace(
            step=state.step + 1,
            params=params,
            batch_stats=batch_stats,
            opt_state=opt_state,
            ema=ema,
        )
        return state, {"loss": loss}

    return train_step


def _subsample(labels: jax.Array, stride: float) -> jax.Array:
    """Return the labels `[..., H, W]` nearest to 0, stride, 2 * stride, ... along both axes."""
    if stride == int(stride):
        return labels[..., :: int(stride), :: int(stride)]
    counts = (int((n - 1) / stride) + 1 for n in labels.shape[-2:])
    rows, columns = (np.rint(stride * np.arange(count)).astype(int) for count in counts)
    return labels[..., rows[:, None], columns]
