"""Counts of labels and class weights, by hand."""

import json
import tracemalloc

import numpy as np
import pytest

from gcn_jax.data import open_split, open_training_source, prepare
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.data.statistics import LabelStatistics, class_weights, count_values
from gcn_jax.errors import UserError

# Of 4 classes, class 3 does not occur. First image: 6 px of class 0, 2 of class 1, 2 void.
# Second: 1 px of class 0, 1 of class 2, 8 void.
FIRST = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 255, 255]], np.uint8)
SECOND = np.array([[0, 2, 255, 255, 255], [255] * 5], np.uint8)


def both():
    return LabelStatistics.of(FIRST, 4) + LabelStatistics.of(SECOND, 4)


def test_counts_by_hand():
    statistics = both()
    np.testing.assert_array_equal(statistics.pixels, [7, 2, 1, 0])
    np.testing.assert_array_equal(statistics.image_pixels, [10, 8, 2, 0])
    np.testing.assert_array_equal(statistics.images, [2, 1, 1, 0])
    assert statistics.void == 10
    assert LabelStatistics.from_json(json.loads(json.dumps(statistics.to_json()))).void == 10


def test_median_frequency_by_hand():
    # Frequencies 7/10, 2/8, 1/2; their median is 1/2.
    expected = [0.5 / 0.7, 0.5 / 0.25, 1, 0]
    np.testing.assert_allclose(class_weights("median_frequency", both()), expected, rtol=1e-6)


def test_inverse_log_by_hand():
    expected = [1 / np.log(1.72), 1 / np.log(1.22), 1 / np.log(1.12), 0]
    np.testing.assert_allclose(class_weights("inverse_log", both()), expected, rtol=1e-6)


def test_unknown_method():
    with pytest.raises(UserError, match=r"unknown class weights 'median'.*inverse_log"):
        class_weights("median", both())


def test_a_prepared_data_set_knows_its_counts(voc_folder, tmp_path):
    options = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path)}
    prepare(make_builder("folder", options))
    source = open_split("folder:train", options)  # as another process reads it from disk
    expected = np.bincount(
        np.concatenate([source[i]["label"].ravel() for i in range(len(source))]), minlength=256
    )
    statistics = source.label_statistics
    np.testing.assert_array_equal(statistics.pixels, expected[: len(source.class_names)])
    assert statistics.void == expected[255]
    for weight in (2, 0.5):
        mixed = open_training_source((f"folder:train*{weight}",), options).label_statistics
        np.testing.assert_allclose(mixed.pixels, weight * statistics.pixels, atol=0.5)


def test_balanced_weights_by_hand():
    counts = np.array([60, 30, 0, 10])
    statistics = LabelStatistics(counts, counts, counts, 0)
    weights = class_weights("balanced", statistics)
    np.testing.assert_allclose(weights, [100 / 180, 100 / 90, 0, 100 / 30], rtol=1e-6)


def test_values_of_a_large_mask_are_counted_with_little_memory():
    mask = np.zeros((3000, 3000), np.uint8)
    mask[0, :7], mask[-1, -1] = 3, 255
    tracemalloc.start()
    counts = count_values(mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {value: counts[value] for value in np.flatnonzero(counts)} == {
        0: 3000**2 - 8,
        3: 7,
        255: 1,
    }
    assert peak < 2 * 8 * 2**20  # as int64 the mask has 69 MiB
