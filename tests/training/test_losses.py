"""Every loss by hand, on an image of three pixels with three classes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.models.layers import formulation_for
from gcn_jax.training import losses

# One image of 1 x 3 pixels.
P = np.array([[[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.2, 0.6, 0.2]]]])
LOGITS = jnp.log(jnp.asarray(P, jnp.float32)) + 1.5  # the softmax does not see a constant
LABELS = jnp.array([[[0, 2, 0]]], jnp.uint8)  # p of the truth: 0.5, 0.8, 0.2
WEIGHTS = jnp.array([1.0, 5.0, 3.0])

ALL = {
    "cross_entropy": losses.cross_entropy_sum,
    "weighted": functools.partial(losses.cross_entropy_sum, class_weights=WEIGHTS),
    "smoothed": functools.partial(losses.cross_entropy_sum, label_smoothing=0.3),
    "focal": functools.partial(losses.focal_sum, gamma=0.5),
    "ohem": losses.ohem_sum,
    "dice": losses.dice_sum,
    "lovasz_softmax": losses.lovasz_softmax_sum,
}


def assert_sum(loss, expected, logits=LOGITS, labels=LABELS, **options):
    value = loss(logits=logits, labels=labels, **options)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_cross_entropy():
    assert_sum(losses.cross_entropy_sum, -np.log(0.5 * 0.8 * 0.2))


def test_class_weights():
    expected = -np.log(0.5) - 3 * np.log(0.8) - np.log(0.2)
    assert_sum(losses.cross_entropy_sum, expected, class_weights=WEIGHTS)
    assert losses.weighted_pixels(LABELS, WEIGHTS) == 5
    assert losses.weighted_pixels(LABELS) == 3


def test_label_smoothing():
    # The target is 0.7 of the truth and 0.1 of every class.
    expected = -0.7 * np.log(0.5 * 0.8 * 0.2) - 0.1 * np.log(P).sum()
    assert_sum(losses.cross_entropy_sum, expected, label_smoothing=0.3)


def test_label_smoothing_with_class_weights():
    # Each class's part of the target has that class's weight, as in PyTorch.
    log_p, weights = np.log(P[0, 0]), np.asarray(WEIGHTS)
    target = 0.1 + 0.7 * np.eye(3)[[0, 2, 0]]
    expected = -(target * weights * log_p).sum()
    assert_sum(losses.cross_entropy_sum, expected, class_weights=WEIGHTS, label_smoothing=0.3)


def test_focal():
    expected = -(0.25 * np.log(0.5) + 0.04 * np.log(0.8) + 0.64 * np.log(0.2))
    assert_sum(losses.focal_sum, expected)
    expected = -(0.5**3 * np.log(0.5) + 3 * 0.2**3 * np.log(0.8) + 0.8**3 * np.log(0.2))
    assert_sum(losses.focal_sum, expected, gamma=3.0, class_weights=WEIGHTS)


def test_focal_without_focus_is_cross_entropy():
    assert_sum(losses.focal_sum, -np.log(0.5 * 0.8 * 0.2), gamma=0.0)


def test_focal_has_a_finite_slope_where_it_is_certain():
    slope = jax.grad(lambda x: losses.focal_sum(logits=x, labels=LABELS, gamma=0.5))(
        jnp.array([[[[60.0, 0, 0], [0, 0, 60.0], [60.0, 0, 0]]]])
    )
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("threshold", "min_kept", "hard"),
    [
        (0.7, 0.0, [0.5, 0.2]),  # those below 0.7
        (0.3, 0.0, [0.2]),
        (0.1, 0.5, [0.5, 0.2]),  # none is: at least ceil(1.5) = 2 with the highest losses
        (1.0, 0.0, [0.5, 0.8, 0.2]),
    ],
)
def test_ohem(threshold, min_kept, hard):
    options = {"threshold": threshold, "min_kept": min_kept}
    assert_sum(losses.ohem_sum, -np.log(hard).mean(), **options)


def test_ohem_with_class_weights_is_a_weighted_mean():
    expected = -(np.log(0.5) + 3 * np.log(0.8) + np.log(0.2)) / 5
    assert_sum(losses.ohem_sum, expected, threshold=1.0, class_weights=WEIGHTS)


def test_dice():
    # Class 0: 2 (0.5 + 0.2) / (0.5 + 0.1 + 0.2 + 2); class 2: 2 * 0.8 / (0.25 + 0.8 + 0.2 + 1).
    # Class 1 is not in the image.
    expected = 1 - (2 * 0.7 / 2.8 + 2 * 0.8 / 2.25) / 2
    assert_sum(losses.dice_sum, expected)


def test_lovasz_softmax():
    # Class 0 (truth 1, 0, 1): errors 0.5, 0.1, 0.8; falling 0.8 (1), 0.5 (1), 0.1 (0). The Jaccard
    # loss of the first one, two, three of them being wrong: 1/2, 1, 1. So 0.8/2 + 0.5/2 + 0.
    # Class 2 (truth 0, 1, 0): errors 0.25, 0.2, 0.2; falling 0.25 (0), 0.2 (1), 0.2 (0) in either
    # order: 1/2, 1, 1. So 0.25/2 + 0.2/2.
    assert_sum(losses.lovasz_softmax_sum, (0.65 + 0.225) / 2)


def test_lovasz_softmax_of_hard_predictions_is_the_jaccard_loss():
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 3, (2, 1, 6, 7))
    logits = 200.0 * jax.nn.one_hot(prediction, 3)
    ious = [
        ((truth == c) & (prediction == c)).sum() / ((truth == c) | (prediction == c)).sum()
        for c in range(3)
    ]
    assert_sum(losses.lovasz_softmax_sum, 1 - np.mean(ious), logits, jnp.asarray(truth))


def test_lovasz_softmax_of_many_pixels_is_exact():
    """Each pixel's slope, about 1e-5, to more than two digits: numpy's float64 says what it is."""
    rng = np.random.default_rng(3)
    truth = rng.random(200_000) < 0.3
    errors = rng.permutation(truth.size) / truth.size  # no two alike, so that the order is one
    order = np.argsort(-errors)
    left = truth.sum() - np.cumsum(truth[order])
    union = truth.sum() + np.cumsum(~truth[order])
    steps = np.empty(truth.size)
    steps[order] = np.diff(1 - left / union, prepend=0)
    slope = jax.grad(losses._lovasz_extension)(
        jnp.asarray(errors, jnp.float32), jnp.asarray(truth, jnp.float32)
    )
    np.testing.assert_allclose(slope, steps, rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_void_equals_leaving_out(name):
    """Whatever the network says where nothing is known, the loss is that of the other pixels."""
    rng = np.random.default_rng(1)
    logits, noise = jnp.asarray(rng.normal(size=(2, 1, 4, 6, 3)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 3, (1, 4, 6)), jnp.uint8)
    void = jnp.full_like(labels, 255)
    value, slope = jax.value_and_grad(lambda x: ALL[name](logits=x, labels=labels))(logits)
    value_with_void, slope_with_void = jax.value_and_grad(
        lambda x: ALL[name](logits=x, labels=jnp.concatenate([void, labels], axis=2))
    )(jnp.concatenate([noise, logits], axis=2))
    np.testing.assert_allclose(value_with_void, value, rtol=1e-5)
    np.testing.assert_array_equal(slope_with_void[:, :, :6], 0)
    np.testing.assert_allclose(slope_with_void[:, :, 6:], slope, rtol=1e-4, atol=1e-6)
    assert np.abs(slope).max() > 0


@pytest.mark.parametrize("height", [8, 7])
@pytest.mark.parametrize("name", ["cross_entropy", "weighted", "smoothed", "focal"])
def test_a_tpu_sums_the_same_pixels_in_blocks(name, height):
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.standard_normal((2, height, 12, 3)), jnp.float32)
    labels = jnp.asarray(rng.choice([0, 1, 2, 255], (2, height, 12)), jnp.uint8)

    def ask():
        return jax.value_and_grad(lambda logits: ALL[name](logits=logits, labels=labels))(logits)

    expected = ask()
    with formulation_for("tpu"):
        found = ask()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_all_void_is_zero_with_zero_gradient(name):
    labels = jnp.full_like(LABELS, 255)
    value, gradient = jax.value_and_grad(lambda x: ALL[name](logits=x, labels=labels))(LOGITS * 1e4)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)
    assert losses.labelled_images(labels) == 0
    assert losses.weighted_pixels(labels, WEIGHTS) == 0


@pytest.mark.parametrize("name", ALL)
def test_images_add_up(name):
    rng = np.random.default_rng(2)
    logits = jnp.asarray(rng.normal(size=(3, 4, 6, 3)), jnp.float32)
    labels = jnp.asarray(rng.choice([0, 1, 2, 255], (3, 4, 6)), jnp.uint8)
    alone = sum(ALL[name](logits=logits[i : i + 1], labels=labels[i : i + 1]) for i in range(3))
    np.testing.assert_allclose(ALL[name](logits=logits, labels=labels), alone, rtol=1e-5)


def test_labelled_images():
    labels = jnp.array([[[255, 255]], [[255, 1]], [[0, 0]]], jnp.uint8)
    assert losses.labelled_images(labels) == 2


def test_bfloat16_logits_are_summed_in_float32():
    logits = jnp.zeros((1, 300, 100, 3), jnp.bfloat16)
    labels = jnp.zeros((1, 300, 100), jnp.uint8)
    assert_sum(losses.cross_entropy_sum, 30_000 * np.log(3), logits, labels)
