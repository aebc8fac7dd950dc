"""A training step of every network, once: what `.ci/run` asks of each Python that it meets."""

from functools import partial

import jax
import numpy as np
import optax
import pytest
from flax import traverse_util

from gcn_jax.models.registry import TINY_MODELS
from gcn_jax.training.state import TrainState
from gcn_jax.training.step import make_train_step
from tests.helpers.networks import tiny
from tests.helpers.random_values import random_variables

#: Half of the time to compile, and slow programs, which run once.
compiled_fast = partial(
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    },
)


@pytest.mark.parametrize("name", TINY_MODELS)
def test_every_parameter_learns_and_every_statistic_moves(name):
    model, tx = tiny(name), optax.sgd(0.1, momentum=0.9)
    variables = random_variables(model)
    state = TrainState(np.int32(0), **variables, opt_state=tx.init(variables["params"]))
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (2, 40, 56, 3)).astype(np.uint8),
        "label": rng.integers(0, 3, (2, 40, 56)).astype(np.uint8),
    }
    step = make_train_step(model, tx, mean=(120.0,) * 3, std=(60.0,) * 3, seed=0)
    after, metrics = compiled_fast(step)(state, batch)
    assert np.isfinite(metrics["loss"])
    assert int(after.step) == 1
    # The momentum of the first step is its gradient.
    for path, gradient in flat(after.opt_state[0].trace):
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).max() > 0, path
    before = dict(flat(state.params))
    for path, leaf in flat(after.params):
        assert np.isfinite(leaf).all(), path
        # The bias of a layer before a batch-norm has no gradient but for rounding.
        assert path.endswith("bias") or not np.array_equal(leaf, before[path]), path
    before = dict(flat(state.batch_stats))
    for path, statistic in flat(after.batch_stats):
        assert not np.array_equal(statistic, before[path]), path


def flat(tree):
    return traverse_util.flatten_dict(tree, sep="/").items()
