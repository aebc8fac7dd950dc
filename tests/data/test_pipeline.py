import numpy as np
import pytest

from gcn_jax.data import Augment, open_training_source, sources, training_batches
from gcn_jax.errors import UserError


class Numbered:
    """Ten images; every pixel of image i is i, its label i % 3."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return {
            "image": np.full((6, 8, 3), index, np.uint8),
            "label": np.full((6, 8), index % 3, np.uint8),
            "id": str(index),
        }


AUGMENT = Augment((8, 8), scale=(0.5, 1.5), jitter=0.2)


def batches(**kwargs):
    defaults = {"batch_size": 4, "seed": 0, "num_threads": 2}
    return training_batches(Numbered(), kwargs.pop("augment", AUGMENT), **{**defaults, **kwargs})


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def assert_equal(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys() == {"image", "label"}
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def test_batches_are_bytes_of_one_size():
    batch = next(batches())
    assert batch["image"].shape == (4, 8, 8, 3)
    assert batch["label"].shape == (4, 8, 8)
    assert batch["image"].dtype == batch["label"].dtype == np.uint8


def test_every_pass_shows_every_image_once_in_another_order():
    plain = Augment((6, 8), flip=False)
    images = np.concatenate([b["image"][:, 0, 0, 0] for b in take(batches(augment=plain), 10)])
    passes = images.reshape(4, 10)
    for one in passes:
        assert sorted(one) == list(range(10))
    assert len({tuple(one) for one in passes}) == 4


def test_stream_is_a_function_of_the_seed_not_of_the_threads():
    assert_equal(take(batches(num_threads=0), 6), take(batches(num_threads=4), 6))
    first, other = next(batches()), next(batches(seed=1))
    assert not np.array_equal(first["image"], other["image"])


def test_position_saved_and_restored_continues_the_stream():
    iterator = batches()
    take(iterator, 5)
    position = iterator.get_state()
    expected = take(iterator, 6)
    resumed = batches()
    resumed.set_state(position)
    assert_equal(take(resumed, 6), expected)


def test_processes_share_the_stream_of_one():
    whole = take(batches(), 5)
    halves = [take(batches(process_index=i, process_count=2), 5) for i in range(2)]
    for step in range(5):
        for key in ("image", "label"):
            shared = np.empty_like(whole[step][key])
            shared[0::2], shared[1::2] = halves[0][step][key], halves[1][step][key]
            np.testing.assert_array_equal(shared, whole[step][key])


def test_batch_that_does_not_divide_is_refused():
    with pytest.raises(UserError, match="batch_size 4 does not divide among 3 processes"):
        batches(process_count=3)


def test_batches_of_one_are_those_of_more_taken_apart():
    ones, fours = take(batches(batch_size=1), 8), take(batches(), 2)
    for key in ("image", "label"):
        joined = np.concatenate([one[key] for one in ones])
        np.testing.assert_array_equal(joined, np.concatenate([four[key] for four in fours]))


def test_cache_in_memory_reads_once_and_leaves_the_stream(voc_folder, tmp_path, monkeypatch):
    decoded = []
    read_image = sources.images.read_image
    monkeypatch.setattr(
        sources.images, "read_image", lambda *args: decoded.append(args) or read_image(*args)
    )
    options = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path)}
    specs = ("folder:train*2", "folder:val*0.6")  # 12 images and 5: a pass is 24 and 3

    def open_stream(**more):
        source = open_training_source(specs, options | more)
        decoded.clear()
        return training_batches(source, AUGMENT, batch_size=9, seed=0, num_threads=0)

    plain = take(open_stream(), 9)
    assert len(decoded) == 3 * 27
    cached = take(open_stream(cache_in_memory=True), 9)
    assert len(decoded) == 12 + 5  # one copy of what comes twice
    assert_equal(cached, plain)


def test_cached_examples_are_read_only_and_have_all_keys(voc_folder, tmp_path):
    options = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path), "cache_in_memory": True}
    source = open_training_source(("folder:train",), options)
    source[3].pop("label")
    example = source[3]
    assert example.keys() == {"image", "label", "id"}
    assert not example["image"].flags.writeable
    assert not example["label"].flags.writeable


def test_cache_that_does_not_fit_is_refused(voc_folder, tmp_path, monkeypatch):
    options = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path), "cache_in_memory": True}
    # Twelve images of 32, 35 or 38 x 40 or 45 pixels, 4 bytes each.
    exact = 2 * (32 + 35 + 38) * (40 + 45) * 4
    assert open_training_source(("folder:train",), options).decoded_size == exact
    memory = sources.psutil.virtual_memory()
    for available, fits in ((exact, True), (exact - 1, False)):
        monkeypatch.setattr(
            sources.psutil, "virtual_memory", lambda n=available: memory._replace(available=n)
        )
        if fits:
            open_training_source(("folder:train",), options)
        else:
            with pytest.raises(UserError, match=r"cache_in_memory: the images of folder:train"):
                open_training_source(("folder:train",), options)
