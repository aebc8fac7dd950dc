import jax
import numpy as np
import pytest
from evaluation.fakes import MEAN, STD, TinyModel, random_source, tiny_variables

from gcn_jax.evaluation import inference
from gcn_jax.mesh import data_mesh
from gcn_jax.models.preprocessing import bucket, mean_color, stack_padded


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


def test_batches_hold_one_bucket_and_each_sample_once():
    source = random_source([(20, 20), (40, 20), (30, 31), (20, 21), (33, 32)])
    batches = list(inference.bucket_batches(source, 2))
    # (20, 20) and (30, 31) fill the first batch, (40, 20) and (33, 32) the second.
    assert [[index for index, _ in batch] for batch in batches] == [[0, 2], [1, 4], [3]]
    assert all(sample is source[index] for batch in batches for index, sample in batch)


def test_pending_samples_are_bounded():
    class Counting:
        """Never fills a batch: each of its samples has another bucket."""

        num_read = 0

        def __len__(self):
            return 100

        def __getitem__(self, index):
            self.num_read += 1
            return {"image": np.zeros((32 * (index % 50 + 1), 32, 3), np.uint8), "id": str(index)}

    source, num_given, num_waiting = Counting(), 0, []
    for batch in inference.bucket_batches(source, 4):
        num_waiting.append(source.num_read - num_given)
        num_given += len(batch)
    assert num_given == source.num_read == 100
    assert max(num_waiting) <= inference.MAX_PENDING_BATCHES * 4


@pytest.mark.parametrize("num_devices", [1, 8])
def test_predictions_have_the_images_own_sizes_and_equal_one_at_a_time(num_devices):
    model, variables = TinyModel(), tiny_variables()
    source = random_source([(17, 31), (40, 60), (33, 64), (64, 64), (20, 20)])
    settings = {"mean": MEAN, "std": STD, "mesh": data_mesh(jax.devices()[:num_devices])}

    found = {
        index: prediction
        for index, sample, prediction in inference.predict(
            model, variables, source, batch_size=3, **settings
        )
    }

    assert sorted(found) == [0, 1, 2, 3, 4]
    mean, std = np.float32(MEAN), np.float32(STD)
    for index, sample in enumerate(source):
        height, width = sample["image"].shape[:2]
        padded = np.full((1, bucket(height), bucket(width), 3), [124, 116, 104])
        padded[0, :height, :width] = sample["image"]
        logits = model.apply(variables, (padded.astype(np.float32) - mean) / std)
        assert found[index].dtype == np.int32
        np.testing.assert_array_equal(found[index], logits[0].argmax(-1)[:height, :width])


def test_batches_of_one_keep_the_order_of_the_source():
    source = random_source([(40, 40), (20, 20), (40, 40), (20, 20)])
    found = inference.predict(TinyModel(), tiny_variables(), source, mean=MEAN, std=STD)
    assert [index for index, _, _ in found] == [0, 1, 2, 3]
