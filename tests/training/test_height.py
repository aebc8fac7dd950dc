"""Training on crops whose rows are split over devices."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from benchmarks.hlo import collectives
from gcn_jax import mesh, models
from gcn_jax.errors import UserError
from gcn_jax.models.layers import deconvolve, split_rows
from gcn_jax.training import default_config, train_and_evaluate
from gcn_jax.training.devices import make_mesh, to_devices
from gcn_jax.training.rows import check_rows
from gcn_jax.training.state import create_state
from gcn_jax.training.step import make_train_step

TX = optax.sgd(0.01, momentum=0.9)
SHAPE = (2, 256, 16)  # over four devices two rows each at stride 32, of which kernels reach one


@functools.cache
def on_mesh(data, height):
    """Return the program of a step, the losses of 50, and the variables after one and after all."""
    network = models.create_model("_tiny", num_classes=3, kernel_size=3)
    devices = mesh.data_mesh(jax.devices()[: data * height], height)
    step = make_train_step(network, TX, mean=(120.0,) * 3, std=(60.0,) * 3, seed=0)
    state = jax.jit(lambda key: create_state(network, TX, key, ema=False))(jax.random.key(0))
    state = jax.device_put(state, mesh.replicated(devices))
    jitted = jax.jit(step, out_shardings=mesh.replicated(devices))
    with split_rows():
        program = jitted.lower(state, mesh.shard_batch(batch(0), devices)).compile()
    losses, variables = [], []
    for seed in range(50):
        state, metrics = program(state, mesh.shard_batch(batch(seed), devices))
        losses.append(float(metrics["loss"]))
        if seed in (0, 49):
            variables.append(jax.device_get(state.variables))
    return program, losses, variables


def batch(seed):
    """Make two images; half of one is void, so that devices have unequal numbers of labels."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, SHAPE).astype(np.uint8)
    label[0, 128:] = 255
    image = rng.integers(0, 100, (*SHAPE, 3)).astype(np.uint8)
    image[..., 0] += (label % 255) * 50
    return {"image": image, "label": label}


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 4), (2, 4)])
def test_fifty_steps_on_split_rows_are_those_of_one_device(shape):
    (_, expected, variables), (_, losses, own) = on_mesh(1, 1), on_mesh(*shape)
    assert expected[-1] < 0.8 * expected[0]
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-5)
    for atol, *trees in zip((1e-6, 1e-4), own, variables, strict=True):  # batch-norms add rounding
        for a, b in zip(*map(jax.tree.leaves, trees), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=atol)


@pytest.mark.slow
def test_devices_hand_rows_to_neighbours_and_add_up_sums():
    """None has a whole map: nothing is gathered, and memory falls."""
    (one, *_), (split, *_) = on_mesh(1, 1), on_mesh(2, 4)
    assert collectives(split.as_text()).keys() == {"collective-permute", "all-reduce"}
    whole, part = (p.memory_analysis().temp_size_in_bytes for p in (one, split))
    assert part < whole / 4


def test_a_deconvolution_of_split_rows_gathers_nothing_for_its_gradient():
    devices = mesh.data_mesh(jax.devices()[:8], 4)
    x, kernel = (np.random.default_rng(0).normal(size=s) for s in ((2, 8, 4, 3), (4, 4, 3, 3)))
    x, kernel = (array.astype(np.float32) for array in (x, kernel))

    def gradients(x, kernel):
        def loss(x, kernel):
            y = deconvolve(x, kernel, crop=1)
            return jnp.sum(jnp.sin(y))

        return jax.grad(loss, argnums=(0, 1))(x, kernel)

    expected = jax.jit(gradients)(x, kernel)
    there = mesh.shard_batch({"x": x}, devices)["x"]
    with split_rows():
        compiled = jax.jit(gradients).lower(there, kernel).compile()
    assert "all-gather" not in collectives(compiled.as_text())
    found = compiled(there, jax.device_put(kernel, mesh.replicated(devices)))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def settings(**changes):
    config = default_config()
    with config.unlocked():
        config.update_from_flattened_dict(changes)
    return config


@pytest.mark.parametrize(
    ("data", "height", "expected"),
    [(-1, 1, (8, 1)), (-1, 4, (2, 4)), (2, -1, (2, 4)), (-1, -1, (8, 1)), (1, 8, (1, 8))],
)
def test_axes_of_the_mesh_and_what_the_other_leaves(data, height, expected):
    grid = make_mesh(settings(**{"mesh.data": data, "mesh.height": height}))
    assert (grid.shape["data"], grid.shape["height"]) == expected
    assert [d.id for d in grid.devices.flat] == [d.id for d in jax.devices()]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mesh.height": 3}, "mesh.data=-1 and mesh.height=3 are no arrangement of 8 devices"),
        ({"mesh.height": 16}, "their product must be 8"),
        ({"mesh.data": 2, "mesh.height": 2}, "their product must be 8"),
        ({"mesh.height": 2, "batch_size": 6}, "parts over 4 devices"),
        ({"mesh.height": 2, "data.cache_features": True}, "splits no rows"),
    ],
)
def test_what_is_no_mesh_gets_one_line(changes, message):
    with pytest.raises(UserError, match=message) as error:
        make_mesh(settings(**changes))
    assert "\n" not in str(error.value)


def test_a_batch_and_its_parts_lie_on_the_mesh():
    grid = make_mesh(settings(**{"mesh.height": 4}))
    sample = {"image": np.zeros((4, 64, 8, 3), np.uint8), "label": np.zeros((4, 64, 8), np.uint8)}
    for parts, shape in ((1, (2, 16, 8, 3)), (2, (2, 1, 16, 8, 3))):
        there = to_devices(sample, settings(**{"optimizer.accumulate": parts}), grid)
        assert there["image"].addressable_shards[0].data.shape == shape
        assert there["label"].addressable_shards[0].data.shape == shape[:-1]


def test_crops_with_too_few_rows_for_a_kernel_are_refused_with_the_next_height():
    model = models.create_model("_tiny", num_classes=3, kernel_size=15)
    check_rows(model, (256, 32), 4)
    check_rows(model, (100, 32), 1)
    with pytest.raises(UserError, match="next height that does is 384 "):
        check_rows(model, (300, 32), 4)
    with pytest.raises(UserError, match="7 rows of a map that has 16, 4 a device; from .* 256 on"):
        check_rows(model, (128, 32), 4)


@pytest.mark.slow
def test_a_run_goes_on_with_another_split(config, tmp_path):
    """Its checkpoints have no sharding in them: 4 steps on two devices, 4 on one, 4 on two."""
    changes = {"augment.crop_size": (128, 48), "optimizer.schedule": "constant", "log_every": 1}
    changes |= {"optimizer.learning_rate": 0.01, "eval_every": 100, "eval_train_images": 0}

    def losses(workdir, *splits):
        for steps, height in splits:
            now = config.copy_and_resolve_references().unlock()
            now.update_from_flattened_dict(
                changes | {"num_devices": height, "mesh.height": height, "num_steps": steps}
            )
            train_and_evaluate(now, workdir)
        lines = (workdir / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["train/loss"] for line in lines]

    expected = losses(tmp_path / "one", (12, 1))
    found = losses(tmp_path / "both", (4, 2), (8, 1), (12, 2))
    assert len(found) == 12
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
