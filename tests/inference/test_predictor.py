import dataclasses
import itertools
import math

import jax
import numpy as np
import pytest

from gcn_jax import models
from gcn_jax.errors import UserError
from gcn_jax.inference import Inference, Predictor, batches
from gcn_jax.inference.crf import CRFParameters, dense_crf
from gcn_jax.mesh import data_mesh, shard_batch
from gcn_jax.models.preprocessing import bucket, mean_color, stack_padded
from tests.helpers.fakes import (
    MEAN,
    STD,
    TinyModel,
    random_source,
    run_network,
    tiny_pretrained,
    traced_shapes,
)
from tests.helpers.reference import interpolate


def test_buckets_of_usual_sizes():
    sizes = {1: 32, 32: 32, 33: 64, 180: 192, 256: 256, 257: 320, 360: 384, 375: 384, 480: 512}
    sizes |= {500: 512, 512: 512, 513: 640, 720: 768, 1024: 1024, 1025: 1280, 2048: 2048}
    assert {size: bucket(size) for size in sizes} == sizes


def test_buckets_are_few_and_pad_little():
    for size in range(1, 5000):
        padded = bucket(size)
        assert padded >= size
        assert padded % 32 == 0
        assert bucket(padded) == padded
        assert size <= 128 or padded / size < 1.25
    for octave in (32, 64, 128, 256, 512, 1024, 2048):
        assert len({bucket(size) for size in range(octave + 1, 2 * octave + 1)}) <= 4


def test_padding_is_below_and_to_the_right():
    fill = mean_color(MEAN)
    np.testing.assert_array_equal(fill, [124, 116, 104])
    image = np.full((20, 40, 3), 7, np.uint8)

    stacked = stack_padded([image], 2, fill)

    assert stacked.shape == (2, 32, 64, 3)
    assert (stacked[0, :20, :40] == 7).all()
    assert (stacked[0, 20:] == fill).all()
    assert (stacked[0, :, 40:] == fill).all()
    assert (stacked[1] == fill).all()


@pytest.mark.parametrize(
    "how",
    [
        Inference(),
        Inference(scales=(0.5, 1.0), flip=True),
        Inference(window=32, crf=CRFParameters(3, 3, 30, 10, 5, iterations=1)),
    ],
    ids=["plain", "scales and a flip", "windows and a CRF"],
)
def test_16_bits_are_finer_steps_of_the_same_brightness(how):
    image = np.random.default_rng(0).integers(0, 256, (40, 37, 3), np.uint8)
    finer = image.astype(np.uint16) * 257
    predictor = Predictor(tiny_pretrained(), inference=how)
    found = []
    for one in (image, finer):
        found.append(np.empty((40, 37, len(predictor.info.class_names)), np.float32))
        labels = predictor.predict_probabilities(one, found[-1])
        ((_, _, same),) = predictor.predict([{"image": one}])
        np.testing.assert_array_equal(labels, same)
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


def test_batches_hold_one_bucket_and_each_example_once():
    source = random_source([(20, 20), (40, 20), (30, 31), (20, 21), (33, 32)])
    found = list(batches.bucket_batches(source, 2))
    # (20, 20) and (30, 31) fill the first batch, (40, 20) and (33, 32) the second.
    assert [[index for index, _ in batch] for batch in found] == [[0, 2], [1, 4], [3]]
    assert all(example is source[index] for batch in found for index, example in batch)


def test_pending_examples_are_bounded():
    class Counting:
        """Never fills a batch: each of its examples has another bucket."""

        num_read = 0

        def __len__(self):
            return 100

        def __getitem__(self, index):
            self.num_read += 1
            return {"image": np.zeros((32 * (index % 50 + 1), 32, 3), np.uint8), "id": str(index)}

    source, num_given, num_waiting = Counting(), 0, []
    for batch in batches.bucket_batches(source, 4):
        num_waiting.append(source.num_read - num_given)
        num_given += len(batch)
    assert num_given == source.num_read == 100
    assert max(num_waiting) <= batches.MAX_PENDING_BATCHES * 4


VARIABLES = tiny_pretrained().variables


def make_predictor(num_devices=1, batch_size=1, **settings):
    return Predictor(
        tiny_pretrained(),
        inference=Inference(**settings),
        batch_size=batch_size,
        mesh=data_mesh(jax.devices()[:num_devices]),
    )


def round_up(size):
    return math.ceil(size / 32) * 32


def slide(image, canvas, window, overlap):
    """Return the probabilities of an image, averaged over windows, one after the other."""
    total = np.zeros((*image.shape[:2], 5))
    count = np.zeros((*image.shape[:2], 1))
    starts = []
    for size, padded, side in zip(image.shape, canvas, window, strict=False):
        number = 1 + math.ceil((max(padded, side) - side) / (side - math.floor(side * overlap)))
        room = max(size - side, 0)
        starts.append([math.floor(i * room / max(number - 1, 1) + 0.5) for i in range(number)])
    for top, left in itertools.product(*starts):
        part = np.s_[top : top + window[0], left : left + window[1]]
        total[part] += run_network(image[part], window)
        count[part] += 1
    return total / count


def expected_probabilities(image, scales=(1.0,), flip=False, window=None, overlap=1 / 3):
    """Predict one image by itself: NumPy around the network."""
    results = []
    for scale in scales:
        size = [max(1, round(length * scale)) for length in image.shape[:2]]
        scaled = interpolate(image.astype(np.float64), size)
        canvas = [round_up(bucket(length) * scale) for length in image.shape[:2]]
        for step in (1, -1) if flip else (1,):
            view = scaled[:, ::step]
            run = slide(view, canvas, window, overlap) if window else run_network(view, canvas)
            results.append(interpolate(run[:, ::step], image.shape[:2]))
    return np.mean(results, axis=0)


SIZES = [(40, 60), (33, 64), (64, 50), (64, 64)]
MODES = {
    "plain": {},
    "flip": {"flip": True},
    "scales": {"scales": (0.5, 1.0, 1.75)},
    "windows": {"window": (32, 24), "overlap": 0.5},
    "large windows": {"window": (96, 80)},
    "all": {"scales": (0.75, 1.5), "flip": True, "window": (32, 32)},
}


@pytest.mark.parametrize("mode", MODES)
def test_batches_equal_an_independent_computation_for_each_image(mode):
    predictor = make_predictor(num_devices=8, batch_size=8, **MODES[mode])
    source = random_source(SIZES)
    (batch,) = predictor.batches(source)
    arrays = shard_batch({"images": batch.images, "sizes": batch.sizes}, predictor.mesh)
    probabilities = np.asarray(predictor.probabilities(**arrays))
    found = list(predictor.predict(source))
    assert [index for index, _, _ in found] == [0, 1, 2, 3]
    for index, example, own in batch.cut(probabilities):
        expected = expected_probabilities(example["image"], **MODES[mode])
        np.testing.assert_allclose(own, expected, atol=2e-5)
        prediction = found[index][2]
        assert prediction.dtype == np.int32
        # Where two classes are equal but for rounding, either may win.
        clear = np.diff(np.sort(expected)[..., -2:])[..., 0] > 1e-4
        np.testing.assert_array_equal(prediction[clear], expected.argmax(-1)[clear])
        assert clear.mean() > 0.99


def test_one_run_of_images_in_several_buckets_equals_the_notebooks_predict():
    source = random_source([*SIZES, (17, 31), (1, 5), (20, 20), (64, 32)])
    variables = {
        **VARIABLES,
        "preprocessing": {"mean": np.float32(MEAN), "std": np.float32(STD)},
    }
    found = {
        index: prediction for index, _, prediction in make_predictor(batch_size=3).predict(source)
    }
    assert sorted(found) == list(range(len(source)))
    for index, example in enumerate(source):
        alone = models.predict(TinyModel(), variables, example["image"])
        np.testing.assert_array_equal(found[index], alone)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {(5, 64, 64), (5, 32, 64)}),
        ({"scales": (0.5, 1.5), "flip": True}, {(5, 32, 32), (5, 96, 96), (5, 64, 96)}),
        ({"window": (40, 48), "scales": (0.5, 1.0)}, {(5, 40, 48)}),
    ],
)
def test_what_is_compiled_is_counted_and_once(settings, expected):
    predictor = make_predictor(batch_size=5, **settings)  # no other test has batches of 5
    del traced_shapes[:]
    list(predictor.predict(random_source([*SIZES, (20, 50), (64, 33)])))
    assert predictor.compiled_shapes == expected
    assert sorted(shape[:3] for shape in traced_shapes) == sorted(expected)


def test_with_flips_the_mirrored_image_has_the_mirrored_prediction():
    image = random_source([(30, 45)])[0]["image"]
    predictor = make_predictor(flip=True, scales=(0.75,))
    pair = [{"image": image, "id": "a"}, {"image": image[:, ::-1], "id": "b"}]
    (_, _, one), (_, _, other) = predictor.predict(pair)
    assert (one == other[:, ::-1]).mean() > 0.999


def test_batches_of_one_keep_the_order_of_the_source():
    source = random_source([(40, 40), (20, 20), (40, 40), (20, 20)])
    assert [index for index, _, _ in make_predictor().predict(source)] == [0, 1, 2, 3]


def test_settings_are_equal_and_hashable_however_they_are_written():
    one = Inference(scales=[0.5, 1.0], window=32)
    assert one == Inference(scales=(0.5, 1.0), window=[32, 32])
    assert hash(one) == hash(Inference(scales=(0.5, 1.0), window=(32, 32)))
    assert Inference(scales=[1.0]).is_plain


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scales": ()}, "one or more, above 0"),
        ({"scales": (1.0, 0.0)}, "scales are .1.0, 0.0."),
        ({"scales": (float("nan"),)}, "scales are"),
        ({"window": (0, 5)}, "window is .0, 5.; it is .height, width. in pixels"),
        ({"window": (1, 2, 3)}, "window is"),
        ({"overlap": 1.0}, r"overlap is 1.0; it is a share of a window in \[0, 1\)"),
        ({"scales": (1e-9,)}, "each lies from 0.05 to 16"),
        ({"scales": (1.0, 100.0)}, "each lies from 0.05 to 16"),
        ({"window": 99_999_999}, "8192 pixels are the most"),
        ({"overlap": 0.9999999}, "above 0.95 there are too many windows"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        Inference(**settings)


def test_an_image_is_not_enlarged_above_a_limit():
    inference = Inference(scales=(1.0, 8.0))
    assert inference.canvas((6016, 6016), 1.0) == (6016, 6016)  # as it is, any size
    with pytest.raises(UserError, match=r"scale 8 makes 8192 x 8192 pixels .* of 1024 x 1024"):
        inference.canvas((1024, 1024), 8.0)


def test_crf_refines_the_averaged_probabilities_of_each_image():
    source = random_source([(20, 30), (24, 17), (40, 33)])
    crf = CRFParameters(3, 3, 30, 20, 5, iterations=3)
    inference = Inference(scales=(0.5, 1.0), flip=True)
    refined = Predictor(
        tiny_pretrained(), inference=dataclasses.replace(inference, crf=crf), batch_size=2
    )
    plain = Predictor(tiny_pretrained(), inference=inference, batch_size=2)
    predictions = {i: prediction for i, _, prediction in refined.predict(source)}
    before = {i: prediction for i, _, prediction in refined.without_crf().predict(source)}
    assert len(predictions) == 3
    for batch in plain.batches(source):
        for i, example, p in batch.cut(np.asarray(plain.probabilities(batch.images, batch.sizes))):
            expected = dense_crf(p, example["image"], crf).argmax(axis=-1)
            np.testing.assert_array_equal(predictions[i], expected)
            np.testing.assert_array_equal(before[i], p.argmax(axis=-1))
            assert (before[i] != expected).any()
