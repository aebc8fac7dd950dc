"""Large images, a band at a time."""

from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pytest
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.inference import CRFParameters, Inference, Predictor, bands, large
from gcn_jax.inference.windows import make_grid
from gcn_jax.models import Pretrained
from tests.helpers.fakes import INFO, NUM_CLASSES, random_source, tiny_pretrained


@pytest.mark.parametrize("shape", [(70, 50), (16, 90), (33, 16), (16, 16)])
@pytest.mark.parametrize("overlap", [0.0, 1 / 3, 0.8])
@pytest.mark.parametrize("strip_bytes", [2**30, 16 * 20 * 3 * 4, 1])
def test_bands_give_the_class_of_the_sum_of_all_windows(shape, overlap, strip_bytes):
    """The probabilities depend on where a pixel lies in its window."""
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    place = np.random.default_rng(1).random((16, 16, 3), np.float32)
    asked = []

    def probabilities(window):
        asked.append(window.shape)
        return window / np.float32(256) + place

    view = bands.View((16, 16), probabilities)
    found = np.empty((*shape, 3), np.float32)
    labels = bands.class_map(image, [view], overlap, 3, strip_bytes, found)

    rows, columns = make_grid(shape, (16, 16), overlap)
    assert set(asked) == {(16, 16, 3)}
    if strip_bytes == 2**30:
        assert len(asked) == rows * columns
    total, count = np.zeros((*shape, 3)), np.zeros((*shape, 1))
    for i in range(rows):
        for j in range(columns):
            top = int(np.floor(i * (shape[0] - 16) / max(rows - 1, 1) + 0.5))
            left = int(np.floor(j * (shape[1] - 16) / max(columns - 1, 1) + 0.5))
            part = np.s_[top : top + 16, left : left + 16]
            total[part] += image[part] / 256 + place
            count[part] += 1
    assert count.min() >= 1
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, (total / count).argmax(-1))
    np.testing.assert_allclose(found, total / total.sum(-1, keepdims=True), rtol=1e-5)


def test_the_means_of_several_views_are_added():
    """The second view, of one window for all rows, would win if its sums were not divided."""
    image = np.zeros((40, 36, 3), np.uint8)
    rng = np.random.default_rng(2)
    small, wide = rng.random((16, 16, 2), np.float32), rng.random((64, 12, 2), np.float32)
    seen = [bands.View((16, 16), lambda _: small), bands.View((64, 12), lambda _: wide[:40])]
    found = np.empty((40, 36, 2), np.float16)
    labels = bands.class_map(image, seen, 0.5, 2, 40 * 14 * 2 * 4, found)

    expected = np.zeros((40, 36, 2))
    for part, tops, lefts in (
        (small, (0, 8, 16, 24), (0, 7, 13, 20)),
        (wide[:40], (0,), range(0, 25, 6)),
    ):
        total, count = np.zeros((40, 36, 2)), np.zeros((40, 36, 1))
        for top in tops:
            for left in lefts:
                height, width = part.shape[:2]
                total[top : top + height, left : left + width] += part
                count[top : top + height, left : left + width] += 1
        expected += total / count
    np.testing.assert_array_equal(labels, expected.argmax(-1))
    np.testing.assert_allclose(found, expected / expected.sum(-1, keepdims=True), atol=1e-3)


@pytest.mark.parametrize("flip", [False, True])
def test_large_images_are_predicted_as_windows_predict_others(flip, monkeypatch):
    # Of the sizes of buckets, over which windows are spread there: it pads no image.
    source = random_source([(64, 96), (32, 128), (32, 64)])
    windows = Inference(window=(32, 48), overlap=0.5, flip=flip)
    expected = [
        labels for *_, labels in Predictor(tiny_pretrained(), inference=windows).predict(source)
    ]
    monkeypatch.setattr(large, "WHOLE_PIXELS", 100)
    predictor = Predictor(tiny_pretrained(), inference=windows)
    for labels, (*_, found) in zip(expected, predictor.predict(source), strict=True):
        assert (labels != found).mean() < 1e-3  # rounding decides between equals
    assert predictor.compiled_shapes == {(1, 32, 48)}
    monkeypatch.setattr(large, "LARGE_WINDOW", (32, 48))
    monkeypatch.setattr(large, "LARGE_WINDOW_OVERLAP", 0.5)
    by_itself = Predictor(tiny_pretrained(), inference=Inference(flip=flip))
    for labels, (*_, found) in zip(expected, by_itself.predict(source), strict=True):
        assert (labels != found).mean() < 1e-3


class PointwiseModel(nn.Module):
    """Sees one pixel at a time: windows and whole images give the same."""

    @nn.compact
    def __call__(self, images, *, train: bool = False):
        return nn.Conv(NUM_CLASSES, (1, 1))(images)


def test_windows_are_scaled_as_whole_images_are(monkeypatch):
    (example,) = random_source([(64, 96)])
    variables = PointwiseModel().init(jax.random.key(3), np.zeros((1, 8, 8, 3)))
    pretrained = Pretrained(PointwiseModel(), variables, INFO, 1)
    how = Inference(scales=(0.5, 1.0, 2.0), flip=True)
    ((*_, whole),) = Predictor(pretrained, inference=how).predict([example])

    monkeypatch.setattr(large, "WHOLE_PIXELS", 100)
    monkeypatch.setattr(large, "LARGE_WINDOW", (32, 32))
    by_windows = Predictor(pretrained, inference=how)
    ((*_, found),) = by_windows.predict([example])
    assert by_windows.compiled_shapes == {(1, 32, 32)}
    assert found.dtype == np.uint8
    assert len(np.unique(whole)) > 2
    # Only the first and last pixel of a window lack a neighbour, or have themselves in its place.
    inner = np.ones((64, 96), bool)
    for size in (64, 16):
        for axis, length in enumerate((64, 96)):
            count = make_grid((length, length), (size, size), 1 / 3)[0]
            for i in range(count):
                start = int(np.floor(i * (length - size) / max(count - 1, 1) + 0.5))
                inner[(slice(None),) * axis + ([start, start + size - 1],)] = False
    assert inner.mean() > 0.5
    assert (whole != found)[inner].mean() < 1e-3
    assert (whole != found).mean() < 0.1


def test_scales_and_windows_of_large_images():
    plan = large.plan((9_000, 600), Inference(scales=(0.5, 1.0, 1.5)))
    assert [seen.canvas for seen in plan.views] == [(1024, 320), (1024, 640), (1024, 1024)]
    assert [seen.window for seen in plan.views] == [(2048, 640), (1024, 640), (682, 682)]
    plan = large.plan((9_000, 9_000), Inference(scales=(0.75,), window=473, overlap=0.25))
    assert plan == (((0.75, (630, 630), (473, 473)),), 0.25)


def test_memory_is_estimated_before_anything_is_read(monkeypatch):
    memory = mock.Mock(return_value=mock.Mock(available=5 * 2**30))
    monkeypatch.setattr(large.psutil, "virtual_memory", memory)
    sizes = {
        Path("a.png"): (100, 100),
        Path("b.png"): (2**14, 2**15),
        Path("c.png"): (3_000, 3_000),
    }
    # While it is decoded, 7 bytes a pixel: 3.5 GiB.
    assert large.check_memory(sizes, Inference(), 21) == (
        "above 8388608 pixels, in windows: 2; b.png has 32768 x 16384 pixels, which take about "
        "3.5 GiB besides the network"
    )
    # 2 GiB of it, 1 GiB of a strip and 4 x 1024 x 1024 x 150 x 4 bytes of a window: 5.34 GiB.
    with pytest.raises(UserError, match=r"b\.png .* about 5\.3 GiB, and 5\.0 GiB are free"):
        large.check_memory(sizes, Inference(), 150)
    assert large.check_memory({Path("a.png"): (100, 100)}, Inference(), 21) is None


def test_large_images_are_not_refined_nor_scaled_below_a_half(monkeypatch):
    monkeypatch.setattr(large, "WHOLE_PIXELS", 100)
    for how in (Inference(scales=(0.4, 1.0)), Inference(crf=CRFParameters(3, 1, 20, 5, 1))):
        with pytest.raises(UserError, match="an image of 90 x 70 pixels is predicted in windows"):
            list(Predictor(tiny_pretrained(), inference=how).predict(random_source([(70, 90)])))
