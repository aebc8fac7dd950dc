"""From `config.loss` to what is minimised."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.data.statistics import LabelStatistics, class_weights
from gcn_jax.errors import UserError
from gcn_jax.training import default_config, losses
from gcn_jax.training.objective import MEAN_CROSS_ENTROPY, make_objective

RNG = np.random.default_rng(0)
LOGITS = jnp.asarray(RNG.normal(size=(2, 4, 5, 3)), jnp.float32)
LABELS = jnp.asarray(RNG.choice([0, 1, 2, 255], (2, 4, 5)), jnp.uint8)
SOURCE = types.SimpleNamespace(
    name="fake:train",
    class_names=("a", "b", "c"),
    label_statistics=LabelStatistics.of(np.asarray(LABELS[0]), 3),
)


def value(**changes):
    settings = default_config().loss
    settings.update(changes)
    objective = make_objective(settings, SOURCE)
    return objective(logits=LOGITS, labels=LABELS, counts=objective.counts(LABELS))


def test_by_default_the_mean_cross_entropy_of_a_labelled_pixel():
    sums = losses.cross_entropy_sum(logits=LOGITS, labels=LABELS)
    expected = sums / np.sum(np.asarray(LABELS) != 255)
    np.testing.assert_allclose(value(), expected, rtol=1e-6)
    plain = MEAN_CROSS_ENTROPY
    counts = plain.counts(LABELS)
    np.testing.assert_array_equal(plain(logits=LOGITS, labels=LABELS, counts=counts), value())


def test_terms_are_weighted_means():
    entropy = losses.cross_entropy_sum(logits=LOGITS, labels=LABELS) / np.sum(LABELS != 255)
    dice = losses.dice_sum(logits=LOGITS, labels=LABELS) / 2
    expected = 0.5 * entropy + 2 * dice
    np.testing.assert_allclose(value(cross_entropy=0.5, dice=2.0), expected, rtol=1e-6)


def test_options_reach_their_losses():
    changes = {"cross_entropy": 0.0, "focal": 1.0, "focal_gamma": 1.0, "class_weights": "1,2,3"}
    weights = jnp.array([1.0, 2.0, 3.0])
    options = {"logits": LOGITS, "labels": LABELS, "class_weights": weights}
    count = losses.weighted_pixels(LABELS, weights)
    expected = losses.focal_sum(gamma=1.0, **options) / count
    np.testing.assert_allclose(value(**changes), expected, rtol=1e-6)

    changes = {"cross_entropy": 0.0, "ohem": 1.0, "ohem_threshold": 0.2, "ohem_min_kept": 0.3}
    options = {"logits": LOGITS, "labels": LABELS, "threshold": 0.2, "min_kept": 0.3}
    np.testing.assert_allclose(value(**changes), losses.ohem_sum(**options) / 2, rtol=1e-6)


def test_class_weights_by_name_follow_from_the_training_labels():
    numbers = class_weights("median_frequency", SOURCE.label_statistics)
    by_number = value(class_weights=",".join(map(repr, numbers.tolist())))
    np.testing.assert_allclose(value(class_weights="median_frequency"), by_number, rtol=1e-6)
    assert abs(float(by_number - value())) > 1e-3


@pytest.mark.parametrize("weights", ["inverse_log", "1,2,0.5"])
@pytest.mark.parametrize("name", ["cross_entropy", "focal", "ohem"])
def test_class_weights_under_jit(name, weights):
    """A step of training is compiled: labels are traced there."""
    changes = {"cross_entropy": 0.0, name: 1.0, "class_weights": weights}
    settings = default_config().loss
    settings.update(changes)
    objective = make_objective(settings, SOURCE)
    compiled = jax.jit(lambda x, y: objective(logits=x, labels=y, counts=objective.counts(y)))
    np.testing.assert_allclose(compiled(LOGITS, LABELS), value(**changes), rtol=1e-6)


def test_a_batch_of_classes_without_weight_teaches_nothing():
    """Smoothing gives such pixels a loss, and there is nothing to divide it by."""
    labels = jnp.zeros_like(LABELS)
    settings = default_config().loss
    settings.update({"class_weights": "0,1,1", "label_smoothing": 0.1})
    objective = make_objective(settings, SOURCE)
    counts = objective.counts(labels)
    loss, slope = jax.value_and_grad(lambda x: objective(logits=x, labels=labels, counts=counts))(
        LOGITS
    )
    assert loss == 0
    np.testing.assert_array_equal(slope, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cross_entropy": 0.0}, "no loss has a weight; set one of loss.cross_entropy"),
        ({"dice": -1.0}, "loss.dice is -1.0"),
        ({"label_smoothing": 1.5}, "loss.label_smoothing is 1.5"),
        ({"focal_gamma": -1.0}, "loss.focal_gamma is -1.0"),
        ({"class_weights": "median"}, "unknown loss.class_weights 'median'.*median_frequency"),
        ({"class_weights": "1,2"}, "3 numbers, 0 or more, one for each class of fake:train"),
        ({"class_weights": "1,2,-1"}, "3 numbers, 0 or more"),
        ({"class_weights": "1,2,inf"}, "3 numbers, 0 or more"),
        ({"focal": float("nan")}, "loss.focal is nan"),
    ],
)
def test_settings_that_mean_nothing(changes, message):
    with pytest.raises(UserError, match=message):
        value(**changes)
