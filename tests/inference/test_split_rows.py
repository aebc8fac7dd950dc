"""Images whose rows are shared by devices: the same as on one device, and as by windows inside."""

import jax
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.inference import Inference, Predictor, large
from gcn_jax.inference.crf import CRFParameters
from gcn_jax.mesh import data_mesh
from tests.helpers.fakes import random_source, tiny_pretrained

#: As high as a bucket: no image is padded more where eight devices share it.
HEIGHT = 256


def probabilities(predictor, image):
    found = np.empty((*image.shape[:2], len(predictor.info.class_names)), np.float32)
    labels = predictor.predict_probabilities(image, found)
    ((*_, same),) = predictor.predict([{"image": image}])
    assert (labels == same).mean() > 0.999  # rounding decides between equals
    return found


@pytest.mark.parametrize(
    "how",
    [
        Inference(),
        Inference(scales=(0.5, 0.75, 1.25), flip=True),
        Inference(crf=CRFParameters(3, 3, 30, 10, 5, iterations=1)),
    ],
    ids=["plain", "scales and a flip", "a CRF"],
)
@pytest.mark.parametrize("height", [8, 4])
def test_shared_rows_give_the_probabilities_of_one_device(how, height, monkeypatch):
    monkeypatch.setattr(large, "WHOLE_PIXELS", 100)  # no windows nevertheless
    image = random_source([(HEIGHT - 7, 43)])[0]["image"]
    mesh = data_mesh(jax.devices()[:8], height)
    predictor = Predictor(tiny_pretrained(), inference=how, mesh=mesh)
    monkeypatch.setattr(large, "WHOLE_PIXELS", 10**9)
    alone = Predictor(tiny_pretrained(), inference=how)
    expected = probabilities(alone, image)
    monkeypatch.setattr(large, "WHOLE_PIXELS", 100)
    np.testing.assert_allclose(probabilities(predictor, image), expected, atol=1e-5)
    assert {shape[1:] for shape in predictor.compiled_shapes} == {
        shape[1:] for shape in alone.compiled_shapes
    }


def test_each_device_has_as_many_rows_of_whatever_image():
    source = random_source([(33, 40), (7, 64), (300, 40)])
    mesh = data_mesh(jax.devices()[:8], 8)
    predictor = Predictor(tiny_pretrained(), mesh=mesh)
    found = {index: labels.shape for index, _, labels in predictor.predict(source)}
    assert found == {0: (33, 40), 1: (7, 64), 2: (300, 40)}
    assert predictor.compiled_shapes == {(1, 256, 64), (1, 512, 64)}


def test_windows_give_the_same_where_no_kernel_reaches_their_border(monkeypatch):
    image = random_source([(HEIGHT, 128)])[0]["image"]
    split = Predictor(tiny_pretrained(), mesh=data_mesh(jax.devices()[:8], 8))
    whole = probabilities(split, image)
    monkeypatch.setattr(large, "WHOLE_PIXELS", 100)
    monkeypatch.setattr(large, "LARGE_WINDOW", (64, 64))
    monkeypatch.setattr(large, "LARGE_WINDOW_OVERLAP", 0.0)
    by_windows = Predictor(tiny_pretrained())
    windows = probabilities(by_windows, image)
    assert by_windows.compiled_shapes == {(1, 64, 64)}
    rows, columns = np.ogrid[:HEIGHT, :128]
    # Two kernels of 3 x 3 reach over two pixels.
    inside = np.isin(rows % 64, range(2, 62)) & np.isin(columns % 64, range(2, 62))
    np.testing.assert_allclose(windows[inside], whole[inside], atol=1e-5)
    assert np.abs(windows - whole)[~inside].max() > 0.01


def test_shared_rows_and_windows_are_not_asked_for_together():
    mesh = data_mesh(jax.devices()[:2], 2)
    with pytest.raises(UserError, match="leave out the window, or the split"):
        Predictor(tiny_pretrained(), inference=Inference(window=32), mesh=mesh)
    with pytest.raises(UserError, match=r"padded to \(513, 513\) and no other size"):
        Predictor(tiny_pretrained(), inference=Inference(pad_to=513), mesh=mesh)
