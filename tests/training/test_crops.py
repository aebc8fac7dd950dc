"""The crops of runs that leave their size open."""

from types import SimpleNamespace

import jax
import pytest

from gcn_jax.data import open_split, open_training_source
from gcn_jax.errors import UserError
from gcn_jax.training import crops, default_config
from gcn_jax.workdir import Workdir


def crop_of(sizes, workdir, **changes):
    config = default_config()
    config.augment.update({"crop_size": None, **changes})
    return crops.with_crop_size(
        config, workdir, SimpleNamespace(sampled_sizes=sizes)
    ).augment.crop_size


@pytest.mark.parametrize(
    ("sizes", "on_cpu", "elsewhere"),
    [
        ([(100, 150)] * 3, (96, 160), (96, 160)),
        ([(10, 10)], (32, 32), (32, 32)),
        ([(360, 480)] * 2 + [(9_000, 20)], (224, 288), (352, 480)),  # by 256 / sqrt(360 * 480)
        ([(3_000, 4_000)], (224, 288), (448, 576)),
    ],
)
def test_crops_have_the_median_size_of_the_images_or_less(
    tmp_path, monkeypatch, sizes, on_cpu, elsewhere
):
    assert crop_of(sizes, tmp_path) == on_cpu
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert crop_of(sizes, tmp_path) == elsewhere


def test_a_size_that_is_given_or_was_taken_before_stays(tmp_path):
    assert crop_of([(64, 64)], tmp_path, crop_size=(33, 48)) == (33, 48)
    config = default_config()
    config.augment.crop_size = (96, 128)
    Workdir(tmp_path).config_file.write_text(config.to_json())
    assert crop_of([(64, 64)], tmp_path) == (96, 128)


def test_sizes_are_those_of_the_images_of_every_source(voc_folder, tmp_path):
    options = {"manual_dir": str(voc_folder), "data_dir": str(tmp_path)}
    source = open_training_source(("folder:train", "folder:val"), options)
    expected = sorted(
        (32 + 3 * (i % 3), 40 + 5 * (i % 2)) for count in (12, 5) for i in range(count)
    )
    assert sorted(source.sampled_sizes) == expected
    sizes = open_split("folder:val", options).sizes
    assert sizes == {f"val_{i:02d}": (32 + 3 * (i % 3), 40 + 5 * (i % 2)) for i in range(5)}


class Split(list):
    """Seven images of 10 x 20 pixels, of three classes."""

    name, class_names, sampled_sizes = "a:train", ("a", "b", "c"), [(10, 20), (5, 5)]


def test_batches_that_no_memory_holds_are_refused(monkeypatch):
    config = default_config()
    config.augment.crop_size, config.batch_size, config.eval_batch_size = (64, 32), 512, 512
    pixels = 512 * 64 * 32
    memory = crops.psutil.virtual_memory()
    split = Split(range(7))

    def check(total):
        monkeypatch.setattr(crops.psutil, "virtual_memory", lambda: memory._replace(total=total))
        crops.check_batches(config, split, split)

    step = pixels * (16 + 4 * 3)  # float32 images, int32 labels, float32 scores of 3 classes
    check(step)
    with pytest.raises(UserError, match=r"^batch_size is 512: images, labels and scores of a step"):
        check(step - 1)
    config.optimizer.accumulate = 2
    check(step - 1)
    check(4 * 4 * pixels)  # a quarter, for bytes of images and labels
    with pytest.raises(UserError, match=r"^batch_size is 512: a batch of crops .* 7 images"):
        check(4 * 4 * pixels - 4)
    config.batch_size = 1
    validation = 512 * 10 * 20 * (12 + 4 * 3)
    check(validation)
    with pytest.raises(UserError, match=r"^eval_batch_size is 512: .* a:train has 7 images"):
        check(validation - 1)
