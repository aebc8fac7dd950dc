import json
import re

import jax
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from gcn_jax import IGNORE_LABEL
from gcn_jax.errors import UserError
from gcn_jax.evaluation.counted import counted_classes
from gcn_jax.evaluation.metrics import (
    CLASS_SCORES,
    SCORES,
    Scores,
    check_labels,
    class_sums,
    confusion_matrix,
    iou,
)
from gcn_jax.evaluation.uncertainty import bootstrap
from gcn_jax.report.scores_table import print_scores

count = jax.jit(confusion_matrix, static_argnums=2)


@pytest.mark.parametrize("num_classes", [2, 21, 150])
def test_equals_scikit_learn_where_not_void(num_classes):
    rng = np.random.default_rng(num_classes)
    labels = rng.integers(0, num_classes, (3, 40, 50)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.2] = IGNORE_LABEL
    predictions = rng.integers(0, num_classes, labels.shape).astype(np.int32)

    matrix = count(labels, predictions, num_classes)

    valid = labels != IGNORE_LABEL
    expected = sklearn_confusion_matrix(
        labels[valid], predictions[valid], labels=range(num_classes)
    )
    assert matrix.dtype == np.int32
    np.testing.assert_array_equal(matrix, expected)


def test_rows_are_truth_and_columns_prediction():
    labels = np.array([[0, 0, 1, 255]], np.uint8)
    predictions = np.array([[0, 1, 1, 0]])
    np.testing.assert_array_equal(confusion_matrix(labels, predictions, 2), [[1, 1], [0, 1]])


def test_matrices_of_parts_add_up():
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), (4, 8, 8))
    predictions = rng.integers(0, 4, labels.shape)
    parts = [count(labels[i], predictions[i], 4) for i in range(4)]
    np.testing.assert_array_equal(sum(parts), confusion_matrix(labels, predictions, 4))


def test_out_of_range_labels_raise_on_the_host_and_are_not_counted_as_a_class():
    labels = np.array([[0, 1, 2, 200, 255]], np.uint8)
    matrix = confusion_matrix(labels, np.zeros((1, 5), np.int32), 2)
    np.testing.assert_array_equal(matrix, [[1, 0], [1, 0]])
    with pytest.raises(UserError, match=r"label of a\.png: 2 of 5 pixels .*\(found 2, 200\)"):
        check_labels(labels, 2, "label of a.png")
    check_labels(labels, 201, "label of a.png")


def test_scores_of_a_two_by_two_matrix_by_hand():
    scores = Scores(np.array([[3, 1], [2, 4]]))
    # IoU: 3 / (3 + 1 + 2) and 4 / (4 + 1 + 2).
    np.testing.assert_allclose(scores.per_class_iou, [1 / 2, 4 / 7])
    assert scores.miou == pytest.approx((1 / 2 + 4 / 7) / 2)
    assert scores.pixel_accuracy == pytest.approx(7 / 10)
    assert scores.mean_accuracy == pytest.approx((3 / 4 + 4 / 6) / 2)
    # Precision: of 5 pixels called class 0 and 5 called class 1; recall: of 4 and 6 true ones.
    np.testing.assert_allclose(scores.precision, [3 / 5, 4 / 5])
    np.testing.assert_allclose(scores.recall, [3 / 4, 4 / 6])
    # 4 of 10 pixels are class 0, 6 are class 1.
    assert scores.frequency_weighted_iou == pytest.approx(0.4 * (1 / 2) + 0.6 * (4 / 7))


def test_class_absent_from_truth_and_prediction_is_left_out():
    # Class 1 is nowhere; class 3 is only predicted, which is an error that counts.
    scores = Scores([[4, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]])
    np.testing.assert_array_equal(scores.per_class_iou, [1.0, np.nan, 0.5, 0.0])
    assert scores.miou == pytest.approx((1.0 + 0.5 + 0.0) / 3)
    assert scores.mean_accuracy == pytest.approx((1.0 + 0.5) / 2)
    np.testing.assert_array_equal(scores.precision, [1.0, np.nan, 1.0, 0.0])
    np.testing.assert_array_equal(scores.recall, [1.0, np.nan, 0.5, np.nan])
    # A class that the truth lacks has weight 0: 4 pixels of IoU 1 and 2 of IoU 0.5.
    assert scores.frequency_weighted_iou == pytest.approx((4 * 1.0 + 2 * 0.5) / 6)


def test_class_sums_of_many_matrices_give_the_iou_of_each():
    matrices = np.random.default_rng(0).integers(0, 9, (6, 4, 4)).astype(np.int32)
    matrices[0, 2], matrices[0, :, 2] = 0, 0  # no class 2 in the first
    sums = class_sums(matrices)
    assert sums.dtype == np.int64
    assert sums.shape == (6, 3, 4)
    for matrix, image_sums in zip(matrices, sums, strict=True):
        np.testing.assert_array_equal(image_sums[0], matrix.diagonal())
        np.testing.assert_array_equal(image_sums[1], matrix.sum(axis=1))
        np.testing.assert_array_equal(image_sums[2], matrix.sum(axis=0))
        np.testing.assert_array_equal(iou(image_sums), Scores(matrix).per_class_iou)
    assert np.isnan(iou(sums)[0, 2])


def test_scores_of_nothing_are_nan_and_null_in_json():
    scores = Scores(np.zeros((2, 2), np.int64))
    assert np.isnan([scores.miou, scores.pixel_accuracy, scores.mean_accuracy]).all()
    assert scores.to_json(["a", "b"]) == {
        "miou": None,
        "pixel_accuracy": None,
        "mean_accuracy": None,
        "frequency_weighted_iou": None,
        "num_classes_counted": 0,
        "absent_classes": ["a", "b"],
        "per_class_iou": {"a": None, "b": None},
        "per_class_precision": {"a": None, "b": None},
        "per_class_recall": {"a": None, "b": None},
        "confusion_matrix": [[0, 0], [0, 0]],
    }


def test_json_round_trip_holds_the_scores():
    values = Scores([[3, 1], [0, 0]]).to_json(["road", "car"])
    assert json.loads(json.dumps(values)) == {
        "miou": 0.375,
        "pixel_accuracy": 0.75,
        "mean_accuracy": 0.75,
        "frequency_weighted_iou": 0.75,
        "num_classes_counted": 2,  # no car, but one was predicted
        "absent_classes": ["car"],
        "per_class_iou": {"road": 0.75, "car": 0.0},
        "per_class_precision": {"road": 1.0, "car": 0.0},
        "per_class_recall": {"road": 0.75, "car": None},
        "confusion_matrix": [[3, 1], [0, 0]],
    }


def test_what_a_mean_is_over_is_said():
    scores = Scores(np.diag([5, 0, 0, 2]))
    assert scores.over_classes == "over 2 of 4 classes"
    names = ["road", "car", "[b]", "sky"]
    said = counted_classes(scores.num_classes_counted, names, scores.confusion_matrix, "val")
    assert said == "over 2 of 4 classes; absent from val: car, [b]"
    matrix = np.array([[5, 1, 0], [0, 0, 0], [0, 0, 0]])
    said = counted_classes(2, names[:3], matrix, "val")
    assert said == "over 2 of 3 classes; absent from val: car (predicted, so 0), [b]"
    assert counted_classes(3, names[:3], np.eye(3), "val") == "over 3 of 3 classes"
    many = [f"class {i}" for i in range(20)]
    said = counted_classes(0, many, np.zeros((20, 20)), "val")
    assert said.endswith("absent from val: " + ", ".join(many[:8]) + " and 12 more")


def test_sums_above_2_to_31_are_exact():
    batch = np.array([[2**30, 1], [0, 2**30]], np.int32)
    total = sum((batch.astype(np.int64) for _ in range(8)), np.zeros((2, 2), np.int64))
    scores = Scores(total)
    assert scores.confusion_matrix[0, 0] == 2**33
    assert scores.pixel_accuracy == pytest.approx(2**34 / (2**34 + 8), abs=1e-15)
    # A matrix that comes in 32 bits is summed in 64.
    assert Scores(np.full((2, 2), 2**31 - 1, np.int32)).pixel_accuracy == 0.5


def test_every_score_is_a_row_in_files_and_tables(capsys):
    scores = Scores([[3, 1], [0, 0]])
    values = scores.to_json(["road", "car"])
    for score in SCORES:
        assert values[score.key] == score.of(scores) == getattr(scores, score.key)
    for score in CLASS_SCORES:
        shares = dict(zip(("road", "car"), score.of(scores), strict=True))
        assert values[score.key] == {k: None if np.isnan(v) else v for k, v in shares.items()}
    facts = dict.fromkeys(
        ("num_images", "split", "images_per_second", "num_compiled_shapes", "checkpoint", "step"), 1
    )
    intervals = bootstrap(class_sums(np.array([[[3, 1], [0, 0]]])), num_resamples=2)
    print_scores({**values, "intervals": intervals.to_json(["road", "car"])}, facts)
    printed = capsys.readouterr().out
    assert all(score.title in printed for score in (*SCORES, *CLASS_SCORES))
    shares = {"boundary_accuracy": 0.9, "internal_accuracy": 0.8, "boundary_f_score": 0.7}
    borders = shares | {"boundary_iou": 0.25, "boundary_iou_num_classes_counted": 1}
    values |= {"intervals": intervals.to_json(["road", "car"]), "boundary": borders}
    print_scores(values, facts)
    printed = capsys.readouterr().out
    assert re.search(r"Boundary IoU over 1 of 2\W+(classes\W+)?25\.00", printed)
