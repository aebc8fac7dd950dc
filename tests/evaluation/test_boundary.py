import json

import numpy as np
import pytest
from scipy import ndimage

from gcn_jax.evaluation import boundary
from gcn_jax.evaluation.boundary import BoundaryCounts, boundary_counts
from gcn_jax.evaluation.metrics import Scores

VOID = 255


def labels(*shape, value=0):
    return np.full(shape, value, np.uint8)


def with_square(shape, top, left, side, value=1):
    label = labels(*shape)
    label[top : top + side, left : left + side] = value
    return label


def halves(height, width, split):
    """Class 0 left of column `split`, class 1 from there on."""
    label = labels(height, width)
    label[:, split:] = 1
    return label


def random_maps(seed, shape=(17, 23), num_classes=4):
    """Blocks of classes with void around some of their edges, and a noisy prediction of them."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, num_classes, (-(-shape[0] // 5), -(-shape[1] // 6)))
    label = np.kron(blocks, np.ones((5, 6), np.int64))[: shape[0], : shape[1]].astype(np.uint8)
    prediction = np.where(rng.random(shape) < 0.05, rng.integers(0, num_classes, shape), label)
    prediction = np.roll(prediction, rng.integers(-2, 3, 2), axis=(0, 1)).astype(np.int32)
    label[rng.random(shape) < 0.04] = VOID
    return label, prediction


# Boundary and internal accuracy (Table 5) and the trimap


def test_the_boundary_is_seven_pixels_on_either_side_of_an_edge():
    # Edge between columns 19 and 20: columns 13..26 are boundary, the others internal.
    label = halves(10, 40, 20)
    prediction = label.astype(np.int32)
    prediction[:, 13] = 1  # distance 7: one of 14 columns of the boundary is wrong
    prediction[:, [12, 0]] = 1  # distance 8 and more: two of 26 columns are wrong
    counts = boundary_counts(label, prediction, 2)
    assert counts.boundary_accuracy == pytest.approx(13 / 14)
    assert counts.internal_accuracy == pytest.approx(24 / 26)


def test_trimap_of_an_edge_by_hand():
    # The edge is predicted two columns too far to the right: 8 and 9 should be class 1.
    label, prediction = halves(5, 16, 8), halves(5, 16, 10)
    miou = boundary_counts(label, prediction, 2).trimap_miou
    # Width 1, columns 7 and 8: class 0 has 1 of 2 right, class 1 (never predicted) 0 of 1.
    assert miou[0] == pytest.approx((1 / 2 + 0) / 2)
    # Width 2, columns 6..9: class 0 has 2 of 4, class 1 0 of 2. Width 3: 3 of 5 and 1 of 3.
    assert miou[1] == pytest.approx((2 / 4 + 0) / 2)
    assert miou[2] == pytest.approx((3 / 5 + 1 / 3) / 2)
    # From width 8 on it is the whole image: 8 of 10 and 6 of 8.
    np.testing.assert_allclose(miou[7:], (8 / 10 + 6 / 8) / 2)
    assert miou.shape == (40,)


def test_distance_is_counted_in_steps_to_any_of_eight_neighbours():
    # One pixel of class 1 in the middle of 9 x 9: distance 2 is the ring of the 5 x 5 square.
    label = with_square((9, 9), 4, 4, 1)
    counts = boundary_counts(label, label, 2).trimap[:, 1].sum(axis=1)
    # Distance 1: the pixel itself and the 8 around it; then rings of 16, 24 and 32 pixels.
    assert counts[:5].tolist() == [9, 16, 24, 32, 0]


def test_trimap_with_a_strip_of_void_is_deeplabs_dilated_void():
    label = with_square((60, 70), 20, 25, 18, value=2)
    label = np.where(ndimage.morphological_gradient(label, 5) > 0, VOID, label).astype(np.uint8)
    prediction = np.random.default_rng(0).integers(0, 3, label.shape)
    counts = boundary_counts(label, prediction, 3)
    for width in (1, 2, 7, 40):
        near_void = ndimage.binary_dilation(label == VOID, np.ones((2 * width + 1,) * 2))
        band = near_void & (label != VOID)
        pairs = 3 * label[band].astype(int) + prediction[band]
        matrix = np.bincount(pairs, minlength=9).reshape(3, 3)
        assert counts.trimap_miou[width - 1] == pytest.approx(Scores(matrix).miou)


def test_void_is_never_counted_and_the_images_edge_is_no_border():
    label = labels(6, 30)
    label[:, 10] = VOID
    prediction = np.zeros((6, 30), np.int32)
    prediction[:, 10] = 1  # wrong nowhere that counts
    counts = boundary_counts(label, prediction, 2)
    assert counts.trimap.sum(axis=0)[:, 0].tolist() == [6 * 29] * 3
    assert counts.trimap.sum(axis=0)[:, 1].tolist() == [0, 0, 0]
    # Columns 3..9 and 11..17.
    assert counts.trimap[:7, 1].sum() == 6 * 14


def test_without_any_border_all_is_internal():
    counts = boundary_counts(labels(8, 9), np.zeros((8, 9), np.int64), 2)
    assert np.isnan(counts.boundary_accuracy)
    assert counts.internal_accuracy == 1.0
    assert np.isnan(counts.trimap_miou).all()


# Boundary IoU


@pytest.mark.parametrize(("shift", "side_columns"), [(0, 4), (1, 2), (2, 0), (10, 0)])
def test_boundary_iou_of_a_shifted_square(shift, side_columns):
    # 60 x 80 has a diagonal of 100, so d = 2. The band of a 20 x 20 square has 400 - 256 = 144
    # pixels: rows 0, 1, 18 and 19, and columns 0, 1, 18 and 19 of the 16 rows between.
    label = with_square((60, 80), 20, 20, 20)
    prediction = with_square((60, 80), 20, 20 + shift, 20)
    # After a shift to the right the four rows share 20 - shift columns, the others columns 1 and 19
    # of the truth if it is 1, and none if it is more (at 18, the columns would meet again).
    both = 4 * (20 - shift) + 16 * side_columns
    iou = boundary_counts(label, prediction, 2).per_class_boundary_iou[1]
    assert iou == pytest.approx(both / (2 * 144 - both))


def test_boundary_iou_ignores_what_is_deep_inside_or_far_from_the_outlines():
    # The images' edge is part of the outline: 10 x 10 of one class has a band of 36 pixels (d = 1).
    label, prediction = labels(10, 10), np.zeros((10, 10), np.int32)
    counts = boundary_counts(label, prediction, 2)
    assert counts.bands[:, 0].tolist() == [36, 36, 36]
    # A hole in the prediction has an outline of its own, which the truth lacks: the 8 pixels
    # around it. It is a class of its own too, of which the truth has nothing.
    prediction[5, 5] = 1
    counts = boundary_counts(label, prediction, 2)
    np.testing.assert_allclose(counts.per_class_boundary_iou, [36 / 44, 0.0])
    assert counts.boundary_iou == pytest.approx((36 / 44 + 0) / 2)
    assert counts.boundary_iou_num_classes_counted == 2


# Boundary F-score


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (3, 1.0), (4, 0.0)])
def test_f_score_of_a_shifted_edge(shift, expected):
    # 240 x 320 has a diagonal of 400, so outlines match up to 3 pixels: all of them or none.
    label, prediction = halves(240, 320, 100), halves(240, 320, 100 + shift)
    counts = boundary_counts(label, prediction, 2)
    assert counts.per_class_boundary_f_score.tolist() == [expected, expected]
    assert counts.boundary_f_score == expected


def test_f_score_of_half_an_outline():
    # Truth: an edge from top to bottom. Prediction: the same edge in the upper half, and in the
    # lower half class 0 everywhere, so that its outline turns right along row 120.
    label = halves(240, 320, 100)
    prediction = label.astype(np.int32)
    prediction[120:] = 0
    f_scores = boundary_counts(label, prediction, 2).per_class_boundary_f_score
    # Class 1: the outline has column 100 in rows 0..119 and row 119 in columns 101..319. Within 3
    # pixels of column 100 are 120 + 3 of its 120 + 219 pixels; of the truth's 240, rows 0..122.
    precision, recall = 123 / 339, 123 / 240
    assert f_scores[1] == pytest.approx(2 * precision * recall / (precision + recall))
    # Class 0: the outline has column 99 in rows 0..119 and row 120 in columns 99 (diagonal
    # neighbour of class 1) to 319; near column 99: 120 + 4 of 120 + 221; of the truth rows 0..123.
    precision, recall = 124 / 341, 124 / 240
    assert f_scores[0] == pytest.approx(2 * precision * recall / (precision + recall))


def test_f_score_counts_the_classes_of_the_truth_only():
    label = with_square((60, 80), 10, 10, 20)
    prediction = label.astype(np.int32)
    prediction[50:55, 60:70] = 2  # not in the truth
    counts = boundary_counts(label, prediction, 4)
    f_scores = counts.per_class_boundary_f_score
    assert f_scores[1] == 1.0
    assert 0 < f_scores[0] < 1
    assert np.isnan(f_scores[2:]).all()
    assert counts.boundary_f_score == pytest.approx((f_scores[0] + 1.0) / 2)


def test_f_score_where_an_outline_is_missing():
    flat, square = labels(60, 80), with_square((60, 80), 10, 10, 20)
    # No outline in either: no score.
    assert np.isnan(boundary_counts(flat, flat, 2).boundary_f_score)
    # Found nothing, or found what is not there: 0 for the classes of the truth.
    missed = boundary_counts(square, flat, 2)
    assert missed.per_class_boundary_f_score.tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(
        boundary_counts(flat, square, 2).per_class_boundary_f_score, [0.0, np.nan]
    )


# All of them


def test_perfect_prediction_scores_one_whatever_it_says_in_void():
    label = with_square((60, 80), 20, 20, 20)
    strip = ndimage.morphological_gradient(label, 5) > 0
    for grow in (-2, 0, 2):  # the object's outline lies anywhere in the strip of 4 pixels
        prediction = with_square((60, 80), 20 - grow, 20 - grow, 20 + 2 * grow)
        counts = boundary_counts(np.where(strip, VOID, label).astype(np.uint8), prediction, 2)
        assert counts.boundary_accuracy == counts.internal_accuracy == 1.0
        assert counts.boundary_iou == counts.boundary_f_score == 1.0
        assert (counts.trimap_miou == 1.0).all()


def test_void_draws_no_outline_into_a_prediction_that_has_none():
    label = with_square((60, 80), 20, 20, 20)
    label[ndimage.morphological_gradient(label, 5) > 0] = VOID
    counts = boundary_counts(label, np.zeros((60, 80), np.int32), 2)
    assert counts.boundary_f_score == 0.0


def test_sums_over_images_are_pooled_or_averaged_as_defined():
    first = boundary_counts(halves(240, 320, 100), halves(240, 320, 104), 3)  # F-scores 0, 0
    second_label = halves(240, 320, 100) * np.uint8(2)
    second = boundary_counts(second_label, second_label, 3)  # F-scores 1, -, 1
    total = first + second
    assert total.per_class_boundary_f_score.tolist() == [0.5, 0.0, 1.0]
    assert total.boundary_f_score == 0.5
    # Table 5: 4 of the first image's 14 columns are wrong, none of the second's.
    assert total.boundary_accuracy == pytest.approx(24 / 28)
    same = sum([first, second], BoundaryCounts.zeros(3))
    assert same.to_json("abc") == total.to_json("abc")


def test_json_has_all_scores_and_null_for_undefined():
    values = boundary_counts(halves(10, 40, 20), halves(10, 40, 20), 3).to_json(["a", "b", "c"])
    assert json.loads(json.dumps(values)) == {
        "boundary_width": 7,
        "boundary_accuracy": 1.0,
        "internal_accuracy": 1.0,
        "trimap_miou": {str(width): 1.0 for width in range(1, 41)},
        "boundary_iou_num_classes_counted": 2,
        "trimap_num_classes_counted": {str(width): 2 for width in range(1, 41)},
        "boundary_iou": 1.0,
        "per_class_boundary_iou": {"a": 1.0, "b": 1.0, "c": None},
        "boundary_f_score": 1.0,
        "per_class_boundary_f_score": {"a": 1.0, "b": 1.0, "c": None},
    }


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_definitions_pixel_by_pixel(seed, monkeypatch):
    monkeypatch.setattr(boundary, "TOLERANCE_SHARE", 0.03 * seed)
    label, prediction = random_maps(seed, (17, 23) if seed % 2 else (51, 30))
    counts = boundary_counts(label, prediction, 4)
    np.testing.assert_array_equal(counts.trimap, slow_trimap(label, prediction, 4))
    np.testing.assert_array_equal(counts.bands, slow_bands(label, prediction, 4))
    np.testing.assert_allclose(
        counts.per_class_boundary_f_score,
        slow_f_scores(label, prediction, 4, tolerance=0.03 * seed * np.hypot(*label.shape)),
    )


def slow_distance(classes, y, x):
    return np.abs(np.argwhere(classes != classes[y, x]) - (y, x)).max(axis=1).min()


def slow_trimap(label, prediction, num_classes):
    sums = np.zeros((41, 3, num_classes), int)
    for y, x in np.argwhere(label != VOID):
        row = min(slow_distance(label, y, x), 41) - 1
        sums[row, 1, label[y, x]] += 1
        sums[row, 2, prediction[y, x]] += 1
        sums[row, 0, label[y, x]] += label[y, x] == prediction[y, x]
    return sums


def slow_bands(label, prediction, num_classes):
    """Boundary IoU as its authors compute it: pad the mask, erode it d times, subtract."""
    steps = max(1, round(0.02 * np.hypot(*label.shape)))

    def band(mask):
        padded = np.pad(mask, 1)
        eroded = ndimage.binary_erosion(padded, np.ones((3, 3)), iterations=steps)
        return mask & ~eroded[1:-1, 1:-1] & (label != VOID)

    truth = np.where(label == VOID, prediction, label)
    pairs = [(band(truth == c), band(prediction == c)) for c in range(num_classes)]
    return np.array([[(g & p).sum(), g.sum(), p.sum()] for g, p in pairs]).T


def slow_f_scores(label, prediction, num_classes, tolerance):
    truth = np.where(label == VOID, prediction, label)

    def outline(classes, number):
        eroded = ndimage.binary_erosion(classes == number, np.ones((3, 3)), border_value=1)
        return np.argwhere((classes == number) & ~eroded)

    def near(points, others):
        return np.mean([np.hypot(*(others - p).T).min() <= tolerance for p in points])

    scores = np.full(num_classes, np.nan)
    for number in np.unique(label[label != VOID]):
        true_points, points = outline(truth, number), outline(prediction, number)
        precision, recall = near(points, true_points), near(true_points, points)
        scores[number] = 2 * precision * recall / (precision + recall)
    return scores
