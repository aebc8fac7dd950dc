import numpy as np
import pytest

from gcn_jax.evaluation import uncertainty
from gcn_jax.evaluation.metrics import Scores, class_sums
from gcn_jax.evaluation.uncertainty import bootstrap, paired_bootstrap


def random_matrices(num_images, num_classes, seed=0):
    rng = np.random.default_rng(seed)
    matrices = rng.integers(0, 9, (num_images, num_classes, num_classes))
    diagonal = rng.integers(0, 90, (num_images, num_classes))
    matrices[:, range(num_classes), range(num_classes)] += diagonal
    present = rng.random((num_images, num_classes)) < 0.3
    return matrices * present[:, :, None] * present[:, None, :]


def accuracies(right):
    """Images of 100 pixels of class 0, some of them taken for class 1: IoU 0 is their accuracy."""
    right = np.asarray(right)
    matrices = np.zeros((len(right), 2, 2), np.int64)
    matrices[:, 0, 0], matrices[:, 0, 1] = right, 100 - right
    return class_sums(matrices)


def test_equals_scores_of_resampled_confusion_matrices():
    matrices = random_matrices(40, 4)
    intervals = bootstrap(class_sums(matrices), num_resamples=50, seed=3, level=0.8)

    rng = np.random.default_rng(3)
    scores = [Scores(matrices[rng.integers(40, size=40)].sum(axis=0)) for _ in range(50)]
    miou = [score.miou for score in scores]
    np.testing.assert_allclose(intervals.miou, np.quantile(miou, [0.1, 0.9]))
    per_class = np.array([score.per_class_iou for score in scores])
    np.testing.assert_allclose(
        intervals.per_class_iou, np.nanquantile(per_class, [0.1, 0.9], axis=0).T
    )


def test_intervals_hold_the_truth_as_often_as_they_say():
    # Accuracies are uniform on 0..100 %, so the IoU of all images there could be is 0.5.
    rng = np.random.default_rng(0)
    examples = [accuracies(rng.integers(0, 101, 60)) for _ in range(300)]
    intervals = [
        bootstrap(sums, num_resamples=300, seed=seed).per_class_iou[0]
        for seed, sums in enumerate(examples)
    ]
    low, high = np.transpose(intervals)
    # Of 300 intervals at 95 %, 285 +- 4 (one standard deviation) hold it; with 60 images and the
    # percentile method a few fewer.
    assert 0.91 <= np.mean((low <= 0.5) & (high >= 0.5)) <= 0.98
    # The mean of 60 numbers of standard deviation 1 / sqrt(12) moves by 0.0373.
    assert np.mean(high - low) == pytest.approx(2 * 1.96 * 0.0373, rel=0.05)


def test_images_that_are_alike_leave_no_doubt():
    intervals = bootstrap(accuracies([70] * 8), num_resamples=20)
    np.testing.assert_allclose(intervals.per_class_iou, [[0.7, 0.7], [0.0, 0.0]])
    np.testing.assert_allclose(intervals.miou, [0.35, 0.35])


def test_a_handful_of_images_gives_no_interval():
    # Ten images; class 1 is in four of them, class 2 in five.
    matrices = np.zeros((10, 3, 3), np.int64)
    matrices[:, 0, 0] = np.arange(10, 20)
    matrices[:, 0, 2][:5] = 3
    matrices[:4, 1, 1] = 1
    sums = class_sums(matrices)
    intervals = bootstrap(sums, num_resamples=20)
    assert np.isnan(intervals.per_class_iou).tolist() == [[False] * 2, [True] * 2, [False] * 2]
    assert not np.isnan(intervals.miou).any()
    for few in (bootstrap(sums[:4]), paired_bootstrap(sums[:4], sums[:4])):
        assert np.isnan(few.per_class_iou).all()
        assert np.isnan(few.miou).all()


def test_what_a_resample_lacks_is_left_out_of_it(monkeypatch):
    monkeypatch.setattr(uncertainty, "FEWEST_IMAGES", 1)
    # Class 1 is in one of two images, and right there; class 0 has IoU 0.5 in both. A quarter of
    # the resamples has no class 1: their mean is 0.5, that of the others is 0.75.
    first, second = np.diag([4, 0, 0]), np.diag([4, 5, 0])
    first[0, 2] = second[0, 2] = 4
    sums = class_sums(np.stack([first, second]))[:, :, :2]
    intervals = bootstrap(sums, num_resamples=400, level=0.4)
    np.testing.assert_allclose(intervals.per_class_iou, [[0.5, 0.5], [1.0, 1.0]])
    np.testing.assert_allclose(intervals.miou, [0.75, 0.75])
    np.testing.assert_allclose(bootstrap(sums, num_resamples=400, level=0.6).miou, [0.5, 0.75])


def test_class_that_no_image_has_is_nan_and_null():
    intervals = bootstrap(class_sums(np.stack([np.diag([3, 0])] * 5)), num_resamples=10)
    np.testing.assert_array_equal(intervals.per_class_iou, [[1, 1], [np.nan, np.nan]])
    assert intervals.to_json(["a", "b"]) == {
        "level": 0.95,
        "num_resamples": 10,
        "miou": [1.0, 1.0],
        "per_class_iou": {"a": [1.0, 1.0], "b": [None, None]},
    }


def test_pairing_sees_a_difference_that_the_spread_of_the_images_hides():
    right = np.random.default_rng(0).integers(0, 96, 100)
    a, b = accuracies(right), accuracies(right + 4)
    # Apart, the intervals overlap; together, b is better by 4 % on any draw.
    assert bootstrap(a).per_class_iou[0, 1] > bootstrap(b).per_class_iou[0, 0]
    np.testing.assert_allclose(paired_bootstrap(a, b).per_class_iou, [[0.04, 0.04], [0, 0]])
    np.testing.assert_allclose(paired_bootstrap(a, b).miou, [0.02, 0.02])
    np.testing.assert_allclose(paired_bootstrap(b, a).miou, [-0.02, -0.02])


def test_same_seed_same_intervals():
    sums = class_sums(random_matrices(20, 3))
    assert (bootstrap(sums, seed=1).miou == bootstrap(sums, seed=1).miou).all()
    assert (bootstrap(sums, seed=1).miou != bootstrap(sums, seed=2).miou).any()


def test_sums_above_2_to_31_are_exact():
    sums = np.full((5, 3, 1), 2**40 + 1)
    np.testing.assert_array_equal(bootstrap(sums, num_resamples=5).miou, [1.0, 1.0])
