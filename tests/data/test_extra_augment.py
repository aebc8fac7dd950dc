"""`augment.extra`, a function of the user's: what it is given, and what it may return."""

import re
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gcn_jax.data import Augment, training_batches
from gcn_jax.data.extra_augment import ExtraAugment
from gcn_jax.errors import UserError

DOCUMENT = Path(__file__).parents[2] / "docs/data.md"

#: Draws a random number for each value, so that any other stream of them would show.
NOISE = """
import numpy as np

def extra(image, label, rng):
    noise = rng.integers(0, 5, image.shape, dtype=np.uint8)
    label[rng.random(label.shape) < 0.1] = 255
    image += noise
    return image, label
"""


@pytest.fixture
def function(tmp_path):
    """Make an `ExtraAugment` of the source of a file, for 3 classes."""

    def make(source, name="extra"):
        (tmp_path / "mine.py").write_text(textwrap.dedent(source))
        return ExtraAugment(f"{tmp_path / 'mine.py'}:{name}", 3)

    return make


class Numbered:
    """Ten read-only images; every pixel of image i is i, its label i % 3."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        image, label = np.full((6, 8, 3), index, np.uint8), np.full((6, 8), index % 3, np.uint8)
        image.flags.writeable = label.flags.writeable = False
        return {"image": image, "label": label, "id": f"number_{index}"}


def batches(extra, **options):
    augment = Augment((8, 8), scale=(0.5, 1.5), quarter_turns=True, extra=extra)
    options = {"batch_size": 4, "seed": 0, "num_threads": 2} | options
    return training_batches(Numbered(), augment, **options)


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def assert_equal(left, right):
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])
        np.testing.assert_array_equal(a["label"], b["label"])


def test_stream_depends_on_the_seed_not_on_threads_or_where_it_was_stopped(function):
    extra = function(NOISE)
    whole = take(batches(extra, num_threads=0), 7)
    assert (whole[0]["label"] == 255).any()
    stopped = batches(extra)
    assert_equal(take(stopped, 3), whole[:3])
    resumed = batches(function(NOISE), num_threads=4)
    resumed.set_state(stopped.get_state())
    assert_equal(take(resumed, 4), whole[3:])
    other = next(batches(extra, seed=1))
    assert not np.array_equal(other["image"], whole[0]["image"])


def test_it_is_given_the_crop_and_what_it_returns_is_padded(function):
    extra = function("""
        def extra(image, label, rng):
            assert image.shape == (6, 7, 3) and label.shape == (6, 7)
            assert image.dtype == label.dtype == "uint8"
            return image[:5], label[:5]
    """)
    augment = Augment((9, 7), flip=False, fill=(9.0, 8.0, 7.0), extra=extra)
    out = augment.random_map(Numbered()[4], np.random.default_rng(0))
    assert out["image"].shape == (9, 7, 3)
    assert (out["image"][:5] == 4).all()
    assert (out["image"][5:] == [9, 8, 7]).all()
    assert (out["label"][:5] == 1).all()
    assert (out["label"][5:] == 255).all()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", "it returns None; it must return (image, label)"),
        ("image", "it returns uint8 [6, 8, 3]; it must return (image, label)"),
        ("(image, label, 0)", "it returns tuple of 3; it must return (image, label)"),
        ("(image / 255, label)", "its image is float64 [6, 8, 3]; it must be uint8 [H, W, C]"),
        ("(image, label.astype(int))", "its label is int64 [6, 8]; it must be uint8 [H, W]"),
        ("(image[..., 0], label)", "its image is uint8 [6, 8]; it must be uint8 [H, W, C]"),
        ("(image, None)", "its label is None; it must be uint8 [H, W]"),
        ("(image[..., :2], label)", "its image has 2 channels; it was given 3"),
        ("(image[:5], label)", "its image is 5 x 8 px and its label 6 x 8"),
        ("(image[:0], label[:0])", "it returns 0 x 8 px; it was given 6 x 8, the most"),
        ("(image.repeat(2, 0), label.repeat(2, 0))", "it returns 12 x 8 px; it was given 6 x 8"),
        ("(image, label + 2)", "its label holds 3; labels are below 3, and 255 is void"),
        ("image + label", "line 2: ValueError: operands could not be broadcast"),
    ],
)
def test_what_it_must_not_return_is_one_line_with_function_and_image(function, returned, message):
    extra = function(f"def extra(image, label, rng):\n    return {returned}\n")
    with pytest.raises(UserError) as said:
        Augment((6, 8), flip=False, extra=extra).random_map(Numbered()[4], np.random.default_rng(0))
    assert f"mine.py:extra, image number_4: {message}" in str(said.value)
    assert "\n" not in str(said.value)


def test_error_reaches_who_reads_the_batches(function):
    with pytest.raises(UserError, match=r"mine.py:extra, image number_\d: it returns None"):
        next(batches(function("def extra(image, label, rng): pass")))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def other(image): pass", "has no function 'extra'"),
        ("extra = 3", "has no function 'extra'"),
        ("import no_such_package", "line 1: ModuleNotFoundError: No module named"),
        ("def extra(:", "SyntaxError: invalid syntax"),
    ],
)
def test_file_without_the_function_is_refused(function, source, message):
    with pytest.raises(UserError, match=rf"augment.extra=.*mine.py:extra: .*{message}"):
        function(source)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"augment.extra=.*none.py:extra: .*No such file"):
        ExtraAugment(f"{tmp_path}/none.py:extra", 3)


def test_example_of_the_documentation_draws_each_transform_for_itself(function):
    pytest.importorskip("albumentations")
    (example,) = re.findall(r"```python\n(# my_augment.py\n.*?)```", DOCUMENT.read_text(), re.S)
    extra = function(example)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    label = np.ones((64, 64), np.uint8)

    def outcome(seed):
        return extra(image, label, np.random.default_rng(seed), "one")

    alone = [outcome(seed) for seed in range(100)]
    with ThreadPoolExecutor(4) as threads:
        for one, other in zip(alone, threads.map(outcome, range(100)), strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
    # 0.5 * 0.7 * 0.5 * 0.7 = 0.12 stay as they are; with one seed for all transforms it is 1/2.
    untouched = sum(np.array_equal(changed, image) for changed, _ in alone)
    assert 4 <= untouched <= 24
    assert set(np.unique([changed for _, changed in alone])) <= {1, 255}
