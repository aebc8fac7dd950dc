"""Large images, a band at a time."""

import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.inference import Inference, Predictor, bands, predictor
from gcn_jax.inference.windows import make_grid
from tests.helpers.fakes import random_source, tiny_pretrained


@pytest.mark.parametrize("shape", [(70, 50), (16, 90), (33, 16), (16, 16)])
@pytest.mark.parametrize("overlap", [0.0, 1 / 3, 0.8])
def test_bands_give_the_class_of_the_sum_of_all_windows(shape, overlap):
    """The probabilities depend on where a pixel lies in its window."""
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    place = np.random.default_rng(1).random((16, 16, 3), np.float32)
    asked = []

    def probabilities(window):
        asked.append(window.shape)
        return window / np.float32(256) + place

    labels = bands.class_map(image, probabilities, (16, 16), overlap)

    rows, columns = make_grid(shape, (16, 16), overlap)
    assert asked == [(16, 16, 3)] * (rows * columns)
    total, count = np.zeros((*shape, 3)), np.zeros((*shape, 1))
    for i in range(rows):
        for j in range(columns):
            top = int(np.floor(i * (shape[0] - 16) / max(rows - 1, 1) + 0.5))
            left = int(np.floor(j * (shape[1] - 16) / max(columns - 1, 1) + 0.5))
            part = np.s_[top : top + 16, left : left + 16]
            total[part] += image[part] / 256 + place
            count[part] += 1
    assert count.min() >= 1
    np.testing.assert_array_equal(labels, (total / count).argmax(-1))


@pytest.mark.parametrize("flip", [False, True])
def test_large_images_are_predicted_as_windows_predict_others(flip, monkeypatch):
    # Of the sizes of buckets, over which windows are spread there: it pads no image.
    source = random_source([(64, 96), (32, 128), (32, 64)])
    windows = Inference(window=(32, 48), overlap=0.5, flip=flip)
    expected = [
        labels for *_, labels in Predictor(tiny_pretrained(), inference=windows).predict(source)
    ]
    monkeypatch.setattr(predictor, "WHOLE_PIXELS", 100)
    large = Predictor(tiny_pretrained(), inference=windows)
    for labels, (*_, found) in zip(expected, large.predict(source), strict=True):
        assert (labels != found).mean() < 1e-3  # rounding decides between equals
    assert large.compiled_shapes == {(1, 32, 48)}
    monkeypatch.setattr(predictor, "LARGE_WINDOW", (32, 48))
    monkeypatch.setattr(predictor, "LARGE_WINDOW_OVERLAP", 0.5)
    by_itself = Predictor(tiny_pretrained(), inference=Inference(flip=flip))
    for labels, (*_, found) in zip(expected, by_itself.predict(source), strict=True):
        assert (labels != found).mean() < 1e-3


def test_large_images_are_not_scaled(monkeypatch):
    monkeypatch.setattr(predictor, "WHOLE_PIXELS", 100)
    halved = Predictor(tiny_pretrained(), inference=Inference(scales=(0.5, 1.0)))
    with pytest.raises(UserError, match="an image of 90 x 70 pixels is predicted in windows"):
        list(halved.predict(random_source([(70, 90)])))
