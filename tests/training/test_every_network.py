"""A training step of every network, once: what `.ci/run` asks of each Python that it meets."""

from functools import partial

import jax
import numpy as np
import optax
import pytest
from flax import traverse_util

from gcn_jax.models import create_model
from gcn_jax.models.registry import TINY_MODELS
from gcn_jax.training.state import TrainState
from gcn_jax.training.step import make_train_step
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
def test_a_step_moves_every_kernel(name):
    model, tx = create_model(name, num_classes=3, **TINY_MODELS[name]), optax.sgd(0.1)
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
    before = traverse_util.flatten_dict(state.params, sep="/")
    for path, leaf in traverse_util.flatten_dict(after.params, sep="/").items():
        assert np.isfinite(leaf).all(), path
        # The bias of a layer before a batch-norm has no gradient but for rounding.
        assert path.endswith("bias") or not np.array_equal(leaf, before[path]), path
