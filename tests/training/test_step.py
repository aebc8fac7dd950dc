import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gcn_jax import mesh, models
from gcn_jax.models.layers import Conv
from gcn_jax.models.network import AUXILIARY, SegmentationNetwork
from gcn_jax.training.state import create_state
from gcn_jax.training.step import make_train_step

MEAN, STD = (120.0, 115.0, 105.0), (60.0, 58.0, 57.0)


@functools.cache
def model(dtype="float32"):
    return models.create_model("_tiny", num_classes=3, dtype=dtype)


TX = optax.sgd(0.1, momentum=0.9)


@functools.cache
def initial_state(ema=False):
    return jax.jit(lambda key: create_state(model(), TX, key, ema=ema))(jax.random.key(0))


@functools.cache
def jitted_step(dtype="float32", accumulate=1, ema_decay=0.0):
    return jax.jit(
        make_train_step(
            model(dtype), TX, mean=MEAN, std=STD, seed=0, accumulate=accumulate,
            ema_decay=ema_decay,
        )
    )  # fmt: skip


def batch(seed=0, size=8):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, (size, 17, 24)).astype(np.uint8)
    label[rng.random(label.shape) < 0.2] = 255
    image = rng.integers(0, 100, (size, 17, 24, 3)).astype(np.uint8)
    image[..., 0] += (label % 255) * 50
    return {"image": image, "label": label}


def run(step, state, steps=3, put=lambda batch: batch):
    losses = []
    for seed in range(steps):
        state, metrics = step(state, put(batch(seed)))
        losses.append(float(metrics["loss"]))
    return state, losses


def assert_close(left, right, rtol, atol):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), left, right)


def mean_cross_entropy(logits, label):
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    valid = label != 255
    return -log_p[valid][np.arange(valid.sum()), label[valid]].mean()


def test_loss_is_the_mean_over_labelled_pixels():
    sample = batch()
    _, metrics = jitted_step()(initial_state(), sample)
    variables = {"params": initial_state().params, "batch_stats": initial_state().batch_stats}
    images = (sample["image"] - np.array(MEAN)) / np.array(STD)
    apply = jax.jit(lambda *args: model().apply(*args, train=True, mutable=["batch_stats"]))
    logits, _ = apply(variables, jnp.asarray(images, jnp.float32))
    expected = mean_cross_entropy(np.asarray(logits, np.float64), sample["label"])
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)


class Coarse(SegmentationNetwork):
    """A network that scores every second pixel in training, and has auxiliary logits."""

    num_classes: int = 3
    label_stride: ClassVar[int] = 2

    make_backbone = backbone_weights = None  # it scores pixels

    def _compute_logits(self, images, *, train):
        logits = Conv(self.num_classes, (1, 1), name="score")(images)
        if not train:
            return logits
        logits = logits[:, ::2, ::2]
        self.sow_auxiliary("twice", 2 * logits, weight=0.4)
        return logits


def test_auxiliary_losses_and_coarse_labels_by_hand():
    sample = batch()
    sample["label"][:, 1::2] = sample["label"][:, :, 1::2] = 7  # no class: must not be looked at
    state = create_state(Coarse(), TX, jax.random.key(0), ema=False)
    step = jax.jit(make_train_step(Coarse(), TX, mean=MEAN, std=STD, seed=0))
    _, metrics = step(state, sample)
    images = (sample["image"] - np.array(MEAN)) / np.array(STD)
    score = jax.tree.map(np.asarray, state.params["score"])
    logits = (images @ score["kernel"][0, 0] + score["bias"])[:, ::2, ::2]
    label = sample["label"][:, ::2, ::2]
    expected = mean_cross_entropy(logits, label) + 0.4 * mean_cross_entropy(2 * logits, label)
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)


def test_auxiliary_logits_have_a_stride_of_their_name_where_the_network_has_some():
    class Misnamed(Coarse):
        auxiliary_strides: ClassVar[dict] = {"thrice": 2}

    step = make_train_step(Misnamed(), TX, mean=MEAN, std=STD, seed=0)
    state = create_state(Misnamed(), TX, jax.random.key(0), ema=False)
    with pytest.raises(KeyError, match="twice"):
        jax.eval_shape(step, state, batch())


@pytest.mark.parametrize("parts", [1, 2])
def test_scores_of_a_smaller_image_meet_the_labels_nearest_to_them(parts):
    """DeepLab-v2 at 3/4 has scores 32 / 3 pixels apart (0, 11, 21, 32), at 1/2 16 pixels."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2, 33, 41, 3)).astype(np.uint8)
    truth = rng.integers(0, 3, (2, 33, 41)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = 255
    places = {
        "scale_1": np.ix_([0, 8, 16, 24, 32], [0, 8, 16, 24, 32, 40]),
        "scale_0.75": np.ix_([0, 11, 21, 32], [0, 11, 21, 32]),
        "scale_0.5": np.ix_([0, 16, 32], [0, 16, 32]),
    }
    label = np.full_like(truth, 7)  # no class: must not be looked at
    for place in places.values():
        label[:, *place] = truth[:, *place]

    deeplab = models.DeepLabV2(num_classes=3, backbone="_tiny", frozen_batch_norm=True)
    state = jax.jit(lambda key: create_state(deeplab, TX, key, ema=False))(jax.random.key(0))
    images = jnp.asarray((image - np.array(MEAN)) / np.array(STD), jnp.float32)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    apply = jax.jit(functools.partial(deeplab.apply, train=True, mutable=[AUXILIARY]))
    logits, sown = apply(variables, images)
    scored = [("scale_1", logits), *((n, scores) for n, (_, scores) in sown[AUXILIARY].items())]
    assert len(scored) == 4
    expected = sum(
        mean_cross_entropy(np.asarray(scores, np.float64), truth[:, *places[name]])
        for name, scores in scored
    )
    step = make_train_step(deeplab, TX, mean=MEAN, std=STD, seed=0, accumulate=parts)
    sample = {"image": image, "label": label}
    if parts > 1:
        sample = {k: v[:, None] for k, v in sample.items()}
    _, metrics = jax.jit(step)(state, sample)
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)


def test_training_lowers_the_loss_and_counts_steps():
    state, losses = run(jitted_step(), initial_state(), 12)
    assert losses[-1] < 0.9 * losses[0]
    assert int(state.step) == 12


def test_eight_devices_equal_one():
    """Global batch-norm, global loss: a split batch is the batch."""
    one = mesh.data_mesh(jax.devices()[:1])
    eight = mesh.data_mesh(jax.devices()[:8])
    results = []
    for devices in (one, eight):
        state = jax.device_put(initial_state(), mesh.replicated(devices))
        results.append(
            run(jitted_step(), state, put=functools.partial(mesh.shard_batch, mesh=devices))
        )
    (state_one, losses_one), (state_eight, losses_eight) = results
    np.testing.assert_allclose(losses_one, losses_eight, rtol=1e-5)
    assert_close(state_one.params, state_eight.params, rtol=1e-3, atol=1e-5)
    assert_close(state_one.batch_stats, state_eight.batch_stats, rtol=1e-4, atol=1e-6)


def test_accumulation_gives_the_gradient_of_the_whole_batch():
    """With frozen batch-norm nothing depends on the cut; void is uneven among the parts."""
    frozen = models.create_model("_tiny", num_classes=3, frozen_batch_norm=True)
    sample = batch()
    sample["label"][:3] = 255
    states = []
    for parts in (1, 4):
        step = jax.jit(make_train_step(frozen, TX, mean=MEAN, std=STD, seed=0, accumulate=parts))
        cut = sample
        if parts > 1:
            cut = {k: v.reshape(parts, -1, *v.shape[1:]) for k, v in sample.items()}
        states.append(step(initial_state(), cut))
    (whole, whole_metrics), (parts, parts_metrics) = states
    np.testing.assert_allclose(whole_metrics["loss"], parts_metrics["loss"], rtol=1e-5)
    assert_close(whole.params, parts.params, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_moving_averages_by_hand():
    """The decay is 1/10 at the first step, 2/11 at the second: below 0.75 in both."""
    step = jitted_step(ema_decay=0.75)
    first, _ = step(initial_state(ema=True), batch(0))
    second, _ = step(first, batch(1))
    for key in ("params", "batch_stats"):
        after = [getattr(state, key) for state in (initial_state(), first, second)]
        average = jax.tree.map(lambda a, b: a / 10 + b * 9 / 10, *after[:2])
        average = jax.tree.map(lambda a, b: a * 2 / 11 + b * 9 / 11, average, after[2])
        assert_close(second.ema[key], average, rtol=1e-4, atol=1e-6)
    assert second.variables is second.ema
    late, _ = step(second.replace(step=jnp.int32(1000)), batch(2))
    expected = jax.tree.map(lambda a, b: 0.75 * a + 0.25 * b, second.ema["params"], late.params)
    assert_close(late.ema["params"], expected, rtol=1e-4, atol=1e-6)


def test_bfloat16_trains_float32_parameters():
    state, losses = run(jitted_step("bfloat16"), initial_state(), 12)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(state.batch_stats)} == {jnp.dtype("float32")}
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("void", [True, False])
def test_all_void_batch_changes_nothing_but_statistics(void):
    sample = batch()
    if void:
        sample["label"][:] = 255
    state, metrics = jitted_step()(initial_state(), sample)
    changed = any(
        not np.array_equal(a, b)
        for a, b in zip(
            jax.tree.leaves(state.params), jax.tree.leaves(initial_state().params), strict=True
        )
    )
    assert changed != void
    assert np.isfinite(metrics["loss"])
