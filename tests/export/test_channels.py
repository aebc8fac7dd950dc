"""Files for images of 1 and 5 channels, of 8 and 16 bits, beside the model."""

import dataclasses

import numpy as np
import pytest

from gcn_jax import export, models
from gcn_jax.errors import UserError
from gcn_jax.export import web
from gcn_jax.export.images import drawn_images, make_batches
from gcn_jax.export.stablehlo import write_stablehlo
from gcn_jax.export.target import make_target
from gcn_jax.models import Pretrained
from tests.helpers.networks import tiny
from tests.helpers.random_values import random_variables
from tests.helpers.runs import INFO

MEANS = {1: (112.5,), 5: (20.0, 100.0, 130.0, 90.0, 200.0)}
RNG = np.random.default_rng(0)


def pretrained(channels, bit_depth=None):
    """Return a model of images with so many channels, its weights random."""
    mean, std = MEANS[channels], tuple(50.0 + i for i in range(channels))
    fields = {**INFO.fields, "in_channels": channels}
    info = dataclasses.replace(INFO, fields=fields, mean=mean, std=std, bit_depth=bit_depth)
    model = tiny("_tiny", in_channels=channels)
    preprocessing = {"mean": np.float32(mean), "std": np.float32(std)}
    return Pretrained(model, {**random_variables(model), "preprocessing": preprocessing}, info, 7)


def images_of(source, *shape):
    dtype = np.dtype(source.info.image_dtype)
    return RNG.integers(0, np.iinfo(dtype).max, (*shape, source.info.channels), dtype, True)


def expected(source, images):
    """Return the logits of images that are padded and normalised by hand, in float64."""
    n, height, width, channels = images.shape
    scale = 257 if images.dtype == np.uint16 else 1
    padded = np.empty((n, -(-height // 32) * 32, -(-width // 32) * 32, channels))
    padded[...] = np.rint(source.info.mean) * scale
    padded[:, :height, :width] = images
    normal = (padded / scale - source.info.mean) / source.info.std
    variables = {k: v for k, v in source.variables.items() if k != "preprocessing"}
    return source.model.apply(variables, normal.astype(np.float32))[:, :height, :width]


CASES = [(1, None), (5, None), (1, 12)]


@pytest.mark.parametrize(("channels", "bit_depth"), CASES)
def test_stablehlo(channels, bit_depth, tmp_path):
    source = pretrained(channels, bit_depth)
    batches = make_batches(
        drawn_images(channels), 32, source.info.mean, (32, 64), source.info.image_dtype
    )
    target = make_target(source, ("logits",))
    (difference,) = write_stablehlo(target, tmp_path / "a", batches)
    assert difference.share < 1e-5
    segment = export.load(tmp_path / "a")
    images = images_of(source, 2, 31, 45)
    logits = expected(source, images)
    np.testing.assert_allclose(segment(images), logits, atol=2e-5 * np.ptp(logits))
    with pytest.raises(UserError, match=rf"must be u?int\d+ \[N, H, W, {channels}\]$"):
        segment(np.zeros((1, 32, 32, 3), np.uint8))


@pytest.mark.parametrize(("channels", "bit_depth"), CASES)
def test_onnx(channels, bit_depth, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'gcn-jax[onnx]'")
    from gcn_jax.export.onnx_file import write_onnx

    source = pretrained(channels, bit_depth)
    batches = make_batches(
        drawn_images(channels), 32, source.info.mean, None, source.info.image_dtype
    )
    write_onnx(make_target(source, ("labels", "logits")), tmp_path / "a.onnx", batches)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    assert taken.type == f"tensor({source.info.image_dtype})"
    assert taken.shape == ["N", "H", "W", channels]
    images = images_of(source, 2, 31, 45)
    labels, logits = session.run(["labels", "logits"], {"images": images})
    wanted = expected(source, images)
    np.testing.assert_allclose(logits, wanted, atol=2e-5 * np.ptp(wanted))
    own = [models.predict(source.model, source.variables, image) for image in images]
    assert np.mean(labels != own) < 1e-3  # ties but for rounding


@pytest.mark.parametrize(("channels", "bit_depth"), [(5, None), (1, 16)])
def test_a_page_is_refused_where_a_browser_has_no_such_pictures(channels, bit_depth):
    kind = "uint16" if bit_depth else "uint8"
    with pytest.raises(UserError, match=f"images of {channels} channels, {kind}, and a browser"):
        web.check_images(pretrained(channels, bit_depth).info)
    web.check_images(pretrained(1).info)
    web.check_images(INFO)
