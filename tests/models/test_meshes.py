"""Networks on images that are split over a mesh of Auto or of Explicit axes.

Errors are relative to the largest value of the logits, and for a gradient to the largest of its
leaf, or a thousandth of the largest of all leaves where that is more. Batch-norm uses its running
statistics: those of a batch turn the rounding of a sum into that of every value.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gcn_jax.mesh import data_mesh, shard_batch
from gcn_jax.models import create_model
from gcn_jax.models.layers import plain_formulation, split_rows
from gcn_jax.models.registry import TINY_MODELS
from gcn_jax.training.state import TrainState
from gcn_jax.training.step import make_train_step
from tests.helpers.random_values import normal, random_variables

KINDS = [AxisType.Auto, AxisType.Explicit]
#: Half of the time to compile, and slow programs, which run once.
FAST = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
SPLITS = {"batch": PartitionSpec("data"), "height": PartitionSpec(None, "data")}
#: Rows of 8 devices: XLA's gradients are wrong where a map has fewer rows a device than a kernel
#: reaches beyond its own (jax 0.10.2 and 0.12.0, also on Auto axes).
SHAPES = {"batch": (8, 32, 16, 3), "height": (1, 512, 16, 3)}
#: The convolution of dilation 12 reaches 96 rows of 8 pixels, and that of 7 x 7 three of 32.
REACHING = dict.fromkeys(("deeplab_largefov", "upernet_convnext_tiny"), (1, 1024, 16, 3))


#: They take twice the time of the others.
LONG_TO_COMPILE = ("segformer_plain4", "upernet_convnext_tiny", "fcn8s_vgg16", "segnet")


def images_of(name, split):
    return normal(*REACHING.get(name, SHAPES[split]) if split == "height" else SHAPES[split])


def split_over(kind, spec, array):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(kind,))
    return jax.device_put(array, NamedSharding(mesh, spec))


def ask(model, variables, images, words=plain_formulation):
    """Return logits and the gradient of the parameters, compiled in plain or other words."""

    @jax.jit
    def both(variables, images):
        def loss(params):
            logits = model.apply({**variables, "params": params}, images)
            return jnp.mean(jnp.square(logits - 1)), logits

        gradient, logits = jax.grad(loss, has_aux=True)(variables["params"])
        return logits, gradient

    with words():
        compiled = both.lower(variables, images).compile(compiler_options=FAST)
    return *compiled(variables, images), compiled.as_text()


@functools.cache
def on_one_device(name, split="batch"):
    """Return a small network, its variables, and what one device makes of all images."""
    model = create_model(name, num_classes=3, **TINY_MODELS[name])
    variables = random_variables(model)
    return model, variables, *ask(model, variables, images_of(name, split))[:2]


@pytest.mark.parametrize(
    ("split", "kind"),
    [
        pytest.param("batch", AxisType.Explicit, id="batch-explicit"),  # on Auto axes inside
        pytest.param("batch", AxisType.Auto, id="batch-auto", marks=pytest.mark.slow),
        pytest.param("height", AxisType.Explicit, id="height-explicit", marks=pytest.mark.slow),
        pytest.param("height", AxisType.Auto, id="height-auto", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG_TO_COMPILE)) for n in TINY_MODELS],
)
def test_split_images_give_the_values_of_one_device(name, split, kind):
    model, variables, expected_logits, expected = on_one_device(name, split)
    images = split_over(kind, SPLITS[split], images_of(name, split))
    logits, gradient, program = ask(model, variables, images)
    assert_close(logits, gradient, expected_logits, expected)
    if kind == AxisType.Explicit:
        spec = SPLITS[split]
        assert tuple(logits.sharding.spec)[: len(spec)] == tuple(spec)
    if split == "batch":
        assert not re.search(r" all-gather\(| all-to-all\(", program)


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY_MODELS)
def test_images_split_by_examples_and_by_rows_give_the_values_of_one_device(name):
    """As in training with `config.mesh.height`; only attention looks at a whole map."""
    model = create_model(name, num_classes=3, **TINY_MODELS[name])
    variables, images = random_variables(model), normal(2, 1152, 16, 3)
    expected = ask(model, variables, images)[:2]
    devices = data_mesh(jax.devices()[:4], 2)
    there = shard_batch({"images": images}, devices)["images"]
    logits, gradient, program = ask(model, variables, there, split_rows)
    assert_close(logits, gradient, *expected)
    gathers = "all-gather" in program
    assert gathers == name.startswith(("linear_dinov2", "segformer"))


def assert_close(logits, gradient, expected_logits, expected):
    np.testing.assert_allclose(
        logits, expected_logits, rtol=0, atol=1e-5 * largest(expected_logits)
    )
    leaves = traverse_util.flatten_dict(expected, sep="/")
    floor = 1e-3 * max(map(largest, leaves.values()))
    for path, leaf in traverse_util.flatten_dict(gradient, sep="/").items():
        # Sums over all pixels in another order: up to 1.3e-5, by the processor's vectors.
        atol = 3e-5 * max(largest(leaves[path]), floor)
        if path.endswith("key/bias"):  # softmax makes it count for nothing: all is rounding
            atol *= 3
        np.testing.assert_allclose(leaf, leaves[path], rtol=0, atol=atol, err_msg=path)


def largest(array):
    return float(np.abs(array).max())


@pytest.mark.parametrize("split", SPLITS)
def test_explicit_axes_make_devices_hand_over_no_more_than_auto_axes(split):
    """A forward pass sends rows to neighbours, and no image anywhere."""
    model, variables = on_one_device("_tiny")[:2]

    def sent(kind):
        images = split_over(kind, SPLITS[split], normal(8, 256, 16, 3))
        with plain_formulation():
            program = jax.jit(model.apply).lower(variables, images).compile(compiler_options=FAST)
        names = r" (all-gather|all-reduce|all-to-all|collective-permute)\("
        return sorted(re.findall(names, program.as_text()))

    assert sent(AxisType.Explicit) == sent(AxisType.Auto)
    assert set(sent(AxisType.Explicit)) <= {"collective-permute"}


@pytest.mark.parametrize("kind", KINDS, ids=["auto", "explicit"])
def test_variables_are_made_from_images_on_a_mesh(kind):
    model, variables = on_one_device("_tiny")[:2]
    images = split_over(kind, PartitionSpec("data"), normal(8, 16, 16, 3))
    made = jax.eval_shape(model.init, jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, variables)


@pytest.mark.parametrize("kind", KINDS, ids=["auto", "explicit"])
@pytest.mark.parametrize("accumulate", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_training_step_on_a_mesh_is_that_of_one_device(kind, accumulate):
    model, variables = on_one_device("_tiny")[:2]
    tx = optax.sgd(0.1)
    state = TrainState(
        jnp.zeros((), jnp.int32), **variables, opt_state=tx.init(variables["params"])
    )
    make = dict(mean=(123.0, 117.0, 104.0), std=(58.0, 57.0, 57.0), seed=0)
    step = make_train_step(model, tx, **make, accumulate=accumulate)
    shape = (8, 32, 16) if accumulate == 1 else (accumulate, 8, 32, 16)
    rng = np.random.default_rng(0)
    batch = {"image": rng.integers(0, 256, (*shape, 3), "uint8")}
    batch["label"] = rng.integers(0, 3, shape, "uint8")

    spec = PartitionSpec(*[None] * (accumulate - 1), "data")
    split = {name: split_over(kind, spec, array) for name, array in batch.items()}
    whole = split_over(kind, PartitionSpec(), state)

    def run(state, batch):
        with plain_formulation():
            return jax.jit(step).lower(state, batch).compile(compiler_options=FAST)(state, batch)

    (expected, metrics), (found, found_metrics) = run(state, batch), run(whole, split)
    np.testing.assert_allclose(found_metrics["loss"], metrics["loss"], rtol=1e-5)
    for a, b in zip(*map(jax.tree.leaves, (found.params, expected.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * max(1.0, largest(b)))
