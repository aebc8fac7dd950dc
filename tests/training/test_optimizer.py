import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.training import default_config
from gcn_jax.training.optimizer import make_optimizer, make_schedule

PARAMS = {
    "backbone": {
        "conv1": {"kernel": jnp.array([2.0])},
        "bn1": {"scale": jnp.array([2.0]), "bias": jnp.array([2.0])},
    },
    "gcn5": {"left_k1": {"kernel": jnp.array([2.0]), "bias": jnp.array([2.0])}},
}
ONES = jax.tree.map(jnp.ones_like, PARAMS)


def optimizer(**settings):
    config = default_config().optimizer
    config.schedule = "constant"
    config.learning_rate = 0.1
    with config.unlocked():
        frozen = settings.pop("frozen_batch_norm", False)
        config.update(settings)
    return make_optimizer(config, make_schedule(config, 100), frozen_batch_norm=frozen)


def updates(tx, steps=1):
    state, params = tx.init(PARAMS), PARAMS
    for _ in range(steps):
        update, state = tx.update(ONES, state, params)
        params = jax.tree.map(jnp.add, params, update)
    return jax.tree.map(lambda before, after: float((after - before)[0]), PARAMS, params)


def test_weight_decay_is_for_kernels_only():
    change = updates(optimizer(momentum=0.0, weight_decay=0.5))
    # kernel: -0.1 * (1 + 0.5 * 2); the others: -0.1 * 1
    np.testing.assert_allclose(change["backbone"]["conv1"]["kernel"], -0.2, rtol=1e-6)
    np.testing.assert_allclose(change["gcn5"]["left_k1"]["kernel"], -0.2, rtol=1e-6)
    for value in (*change["backbone"]["bn1"].values(), change["gcn5"]["left_k1"]["bias"]):
        np.testing.assert_allclose(value, -0.1, rtol=1e-6)


def test_momentum_by_hand():
    change = updates(optimizer(momentum=0.9, weight_decay=0.0), steps=3)
    # velocities 1, 1.9, 2.71
    np.testing.assert_allclose(change["backbone"]["conv1"]["kernel"], -0.561, rtol=1e-5)


def test_head_multiplier_spares_the_backbone():
    change = updates(optimizer(momentum=0.0, weight_decay=0.0, head_multiplier=10.0))
    np.testing.assert_allclose(change["backbone"]["conv1"]["kernel"], -0.1, rtol=1e-6)
    np.testing.assert_allclose(change["gcn5"]["left_k1"]["kernel"], -1.0, rtol=1e-6)
    np.testing.assert_allclose(change["gcn5"]["left_k1"]["bias"], -1.0, rtol=1e-6)


def test_bias_multiplier_is_for_convolutions():
    settings = {"momentum": 0.0, "weight_decay": 0.0, "head_multiplier": 10.0}
    change = updates(optimizer(**settings, bias_multiplier=2.0))
    np.testing.assert_allclose(change["gcn5"]["left_k1"]["bias"], -2.0, rtol=1e-6)
    np.testing.assert_allclose(change["gcn5"]["left_k1"]["kernel"], -1.0, rtol=1e-6)
    np.testing.assert_allclose(change["backbone"]["bn1"]["bias"], -0.1, rtol=1e-6)


def test_clipping_bounds_the_norm_of_all_gradients_together():
    # five ones have the norm sqrt(5)
    change = updates(optimizer(momentum=0.0, weight_decay=0.0, clip_norm=1.0))
    np.testing.assert_allclose(jax.tree.leaves(change), [-0.1 / np.sqrt(5)] * 5, rtol=1e-5)
    loose = updates(optimizer(momentum=0.0, weight_decay=0.0, clip_norm=3.0))
    np.testing.assert_allclose(jax.tree.leaves(loose), [-0.1] * 5, rtol=1e-5)


def test_frozen_batch_norm_stays():
    change = updates(optimizer(frozen_batch_norm=True), steps=2)
    assert change["backbone"]["bn1"] == {"scale": 0.0, "bias": 0.0}
    assert change["gcn5"]["left_k1"]["bias"] != 0


def test_a_frozen_backbone_stays_whatever_its_gradient_and_its_decay():
    settings = default_config().optimizer
    schedule = make_schedule(settings, 100)
    tx = make_optimizer(settings, schedule, frozen_batch_norm=False, frozen_backbone=True)
    params = {name: {"conv": {"kernel": jnp.ones(1)}} for name in ("backbone", "score")}
    change, _ = tx.update(params, tx.init(params), params)
    assert change["backbone"]["conv"]["kernel"] == 0
    assert change["score"]["conv"]["kernel"] != 0


def test_layer_norm_learns_beside_frozen_batch_norm():
    layers = {name: {"scale": jnp.ones(1), "bias": jnp.ones(1)} for name in ("norm", "bn")}
    tx = optimizer(frozen_batch_norm=True, momentum=0.0, bias_multiplier=2.0)
    change, _ = tx.update(layers, tx.init(layers), layers)
    assert jax.tree.map(lambda array: float(array[0]), change) == {
        "norm": {"scale": pytest.approx(-0.1), "bias": pytest.approx(-0.1)},
        "bn": {"scale": 0, "bias": 0},
    }


def test_batch_norm_with_frozen_statistics_can_learn():
    settings = {"momentum": 0.0, "learn_frozen_batch_norm": True}
    change = updates(optimizer(frozen_batch_norm=True, **settings))
    for value in change["backbone"]["bn1"].values():
        np.testing.assert_allclose(value, -0.1, rtol=1e-6)


def test_the_state_of_sgd_has_the_parts_that_older_checkpoints_have():
    parts = [type(part).__name__ for part in optimizer().init(PARAMS)]
    masked, empty = "MaskedState", "EmptyState"
    scale = "ScaleByScheduleState"
    assert parts == [empty, masked, "TraceState", masked, masked, empty, scale]


def test_an_unknown_kind_is_refused():
    with pytest.raises(UserError, match="unknown optimizer.kind 'adam' .did you mean adamw"):
        optimizer(kind="adam")


def test_warmup_and_poly_are_those_of_segformer():
    """Its hook (mmcv 1.3) starts at 1e-6 of the rate, which is 0 here."""
    config = default_config().optimizer
    config.update({"learning_rate": 6e-5, "warmup_steps": 1500, "poly_power": 1.0})
    schedule = make_schedule(config, 160_000)
    for step in (0, 1, 750, 1499, 1500, 80_000, 159_999):
        regular = 6e-5 * (1 - step / 160_000)
        lacks = (1 - step / 1500) * (1 - 1e-6) if step < 1500 else 0
        np.testing.assert_allclose(
            schedule(step), regular * (1 - lacks), rtol=1e-4, atol=1.01e-6 * 6e-5
        )


def test_schedules_by_hand():
    config = default_config().optimizer
    config.learning_rate = 0.4
    config.schedule = "poly"
    schedule = make_schedule(config, 100)
    np.testing.assert_allclose(schedule(0), 0.4, rtol=1e-6)
    np.testing.assert_allclose(schedule(75), 0.4 * 0.25**0.9, rtol=1e-5)
    np.testing.assert_allclose(schedule(100), 0.0, atol=1e-7)
    config.schedule = "step"
    config.step_boundaries = (10, 20)
    schedule = make_schedule(config, 100)
    np.testing.assert_allclose(
        [schedule(s) for s in (9, 11, 19, 21)], [0.4, 0.04, 0.04, 0.004], rtol=1e-5
    )
    config.schedule = "constant"
    config.warmup_steps = 4
    schedule = make_schedule(config, 100)
    np.testing.assert_allclose(
        [schedule(s) for s in (0, 1, 4, 50)], [0.0, 0.1, 0.4, 0.4], rtol=1e-6
    )
    config.schedule = "linear"
    with pytest.raises(UserError, match="unknown optimizer.schedule 'linear'; choose one of"):
        make_schedule(config, 100)


def test_cosine_by_hand():
    config = default_config().optimizer
    config.schedule, config.learning_rate = "cosine", 0.1
    schedule = make_schedule(config, 100)
    rates = [float(schedule(step)) for step in (0, 25, 50, 100)]
    np.testing.assert_allclose(rates, [0.1, 0.0853553, 0.05, 0.0], atol=1e-7)
