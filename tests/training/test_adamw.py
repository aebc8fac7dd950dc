"""AdamW: its steps in NumPy, what decays and what does not, and runs that are stopped."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict

from gcn_jax.models import create_model
from gcn_jax.models.network import variable_shapes
from gcn_jax.models.registry import TINY_MODELS
from gcn_jax.training import default_config, train_and_evaluate
from gcn_jax.training.optimizer import make_optimizer, make_schedule
from tests.helpers.networks import tiny
from tests.helpers.runs import assert_identical, changed, kept_steps, timeless

SHAPES = {
    "backbone": {
        "conv": {"kernel": (2, 3)},
        "bn": {"scale": (3,), "bias": (3,)},
        "block1": {"layer_scale": (3,)},
    },
    "head": {"kernel": (3,), "bias": (2,)},
}


def settings(**changes):
    config = default_config().optimizer
    config.kind, config.learning_rate, config.schedule = "adamw", 0.01, "constant"
    config.update(changes)
    return config


def random_tree(seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda shape: rng.normal(size=shape).astype(np.float32),
        SHAPES,
        is_leaf=lambda node: isinstance(node, tuple),
    )


def steps_in_numpy(params, gradients, settings, rates):
    """Algorithm 2 of Loshchilov and Hutter (2019), in float64, as PyTorch has its rate and eps."""
    params = {path: leaf.astype(np.float64) for path, leaf in flatten_dict(params).items()}
    first = {path: np.zeros_like(leaf) for path, leaf in params.items()}
    second = {path: np.zeros_like(leaf) for path, leaf in params.items()}
    beta1, beta2 = settings.betas
    for step, (tree, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        grads = {path: leaf.astype(np.float64) for path, leaf in flatten_dict(tree).items()}
        norm = np.sqrt(sum((leaf**2).sum() for leaf in grads.values()))
        factor = min(1, settings.clip_norm / norm) if settings.clip_norm else 1
        for path in params:
            g = grads[path] * factor
            first[path] = beta1 * first[path] + (1 - beta1) * g
            second[path] = beta2 * second[path] + (1 - beta2) * g**2
            m, v = first[path] / (1 - beta1**step), second[path] / (1 - beta2**step)
            own = rate * (1 if path[0] == "backbone" else settings.head_multiplier)
            decay = settings.weight_decay if path[-1] == "kernel" else 0
            params[path] *= 1 - own * decay
            params[path] -= own * m / (np.sqrt(v) + settings.eps)
    return params


@pytest.mark.parametrize(
    "changes",
    [
        {"weight_decay": 0.0},
        {"weight_decay": 0.3},
        {"weight_decay": 0.3, "betas": (0.8, 0.95), "eps": 1e-2},
        {"weight_decay": 0.3, "head_multiplier": 10.0, "clip_norm": 0.5},
        {"schedule": "cosine", "warmup_steps": 2},
        {"schedule": "poly", "poly_power": 1.0},
    ],
)
def test_four_steps_are_those_of_the_paper(changes):
    config = settings(**changes)
    schedule = make_schedule(config, 8)
    tx = make_optimizer(config, schedule, frozen_batch_norm=False)
    start, gradients = random_tree(0), [random_tree(seed) for seed in (1, 2, 3, 4)]
    rates = [float(schedule(step)) for step in range(4)]
    params = jax.tree.map(jnp.asarray, start)
    state = tx.init(params)
    for gradient in gradients:
        updates, state = tx.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    expected = steps_in_numpy(start, gradients, config, rates)
    for path, leaf in flatten_dict(params).items():
        np.testing.assert_allclose(leaf, expected[path], rtol=2e-5, atol=5e-6, err_msg=str(path))


#: Of each family a network -> one parameter of each kind that does not decay.
SPARED = {
    "linear_dinov2_small": {
        "backbone/cls", "backbone/positions", "backbone/patches/bias", "backbone/norm/scale",
        "backbone/block1/layer_scale1", "backbone/block4/norm2/bias", "bn/scale", "score/bias",
    },
    "upernet_convnext_tiny": {
        "backbone/stem_norm/scale", "backbone/res2_block1/layer_scale", "backbone/norm5/bias",
        "backbone/res4_block2/depthwise/bias", "head/score/bias",
    },
    "segformer_plain4": {
        "backbone/stage1/patch_norm/scale", "backbone/stage2/block1/attention/norm/bias",
        "backbone/stage3/block1/ffn/mix/bias", "score/bias", "fuse/bn/scale",
    },
    "gcn_resnet18": {"backbone/bn1/scale", "backbone/res2_block1/bn2/bias", "gcn5/left_k1/bias"},
}  # fmt: skip


@pytest.mark.parametrize("name", SPARED)
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_only_kernels_decay(kind, name):
    """Without a gradient what decays moves by itself, and nothing else does."""
    model = create_model(name, num_classes=3) if name == "gcn_resnet18" else tiny(name)
    params = jax.tree.map(lambda leaf: np.ones(1, "float32"), variable_shapes(model)["params"])
    config = settings(kind=kind, weight_decay=0.5)
    tx = make_optimizer(config, make_schedule(config, 10), frozen_batch_norm=False)
    updates, _ = tx.update(jax.tree.map(np.zeros_like, params), tx.init(params), params)
    moved = {path: float(by[0]) for path, by in flatten_dict(updates, sep="/").items()}
    decays = {path for path, by in moved.items() if by}
    assert {round(moved[path], 7) for path in decays} == {-0.005}
    assert all(path.endswith("/kernel") for path in decays)
    assert moved.keys() >= SPARED[name]
    assert not decays & SPARED[name]
    assert not any(path.endswith("kernel") for path in moved.keys() - decays)


@pytest.mark.parametrize("name", TINY_MODELS)
def test_what_has_several_axes_is_a_kernel_or_a_place(name):
    params = flatten_dict(variable_shapes(tiny(name))["params"])
    names = {path[-1] for path, leaf in params.items() if leaf.ndim > 1}
    assert {"kernel"} <= names <= {"kernel", "positions", "cls", "registers"}


def test_what_stays_has_no_averages():
    config = settings()
    schedule = make_schedule(config, 10)
    params = random_tree(0)
    tx = make_optimizer(config, schedule, frozen_batch_norm=False, frozen_backbone=True)
    state = tx.init(params)
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) == 2 * (3 + 2) + 2  # and two counts
    updates, _ = tx.update(random_tree(1), state, params)
    for path, update in flatten_dict(updates).items():
        assert np.any(update) == (path[0] == "head"), path
    tx = make_optimizer(config, schedule, frozen_batch_norm=True)
    updates, _ = tx.update(random_tree(1), tx.init(params), params)
    for path, update in flatten_dict(updates).items():
        assert np.any(update) == (path[1] != "bn"), path


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_bit_by_bit(config, tmp_path):
    """With moving averages, clipping, and rates that fall from layer to layer."""
    adamw = changed(
        config,
        **{
            "optimizer.kind": "adamw",
            "optimizer.learning_rate": 1e-3,
            "optimizer.clip_norm": 1.0,
            "optimizer.layer_decay": 0.7,
        },
    )
    whole = train_and_evaluate(adamw, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/12")
    assert_identical(train_and_evaluate(adamw, tmp_path / "run"), whole)
    assert kept_steps(tmp_path / "run") == kept_steps(tmp_path / "whole")
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")
    assert np.any(
        whole.params["gcn5"]["left_k1"]["kernel"]
        != whole.ema["params"]["gcn5"]["left_k1"]["kernel"]
    )
