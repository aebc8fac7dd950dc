"""The crops of a run that leaves their size open, and whether batches fit into memory."""

import math
import statistics
from pathlib import Path

import jax
import psutil
from ml_collections import ConfigDict

from gcn_jax import data
from gcn_jax.errors import UserError, setting
from gcn_jax.inference.large import WHOLE_PIXELS
from gcn_jax.models.classifier import Classifier
from gcn_jax.models.registry import MODELS
from gcn_jax.workdir import Workdir

#: Pixels of a crop at most, where the images are larger: on a CPU, and on other devices.
MOST_CPU_PIXELS, MOST_PIXELS = 256**2, 512**2
#: Pixels of a whole image at most, the features of which are kept (`data.cache_features`).
MOST_WHOLE_PIXELS = 1024**2
#: Height and width are multiples of it, the stride of most networks.
MULTIPLE = 32


def with_crop_size(
    config: ConfigDict, workdir: str | Path, train: "data.Source | data.Mixture"
) -> ConfigDict:
    """Fill in `augment.crop_size` where the config leaves it open.

    It is that of the run that the workdir holds already, else the median height and width of the
    training images, both made smaller by one factor where that is more than `MOST_PIXELS` (on a CPU
    `MOST_CPU_PIXELS`), and rounded to multiples of `MULTIPLE`. With `data.cache_features` it is the
    largest height and the largest width, so that nothing is cropped.

    Args:
        config: The settings of a run.
        workdir: Its folder, which need not exist.
        train: What it trains on; up to 64 images of each data set are looked at, with
            `data.cache_features` all.

    Raises:
        UserError: With `data.cache_features`, an image is larger than the crops, or would make them
            larger than `MOST_WHOLE_PIXELS`.
    """
    whole = _size_of_whole_images(train) if config.data.cache_features else None
    if config.augment.crop_size is None:
        config = config.copy_and_resolve_references()
        config.augment.crop_size = _size_before(Workdir(workdir)) or whole or _size_of_images(train)
    if whole is not None:
        _check_whole(config.augment.crop_size, whole, train.name)
    return config


def _size_of_whole_images(train: "data.Source | data.Mixture") -> tuple[int, int]:
    height, width = (max(lengths) for lengths in zip(*train.sizes.values(), strict=True))
    if height * width > MOST_WHOLE_PIXELS:
        raise UserError(
            f"{setting('data.cache_features')}: images of {train.name} are up to {height} pixels "
            f"high and {width} wide, and {math.isqrt(MOST_WHOLE_PIXELS)} x "
            f"{math.isqrt(MOST_WHOLE_PIXELS)} are the most; make images and masks smaller, or set "
            "it to False, to train on random crops"
        )
    return height, width


def _check_whole(crop: tuple[int, ...], whole: tuple[int, int], name: str) -> None:
    if crop[0] < whole[0] or crop[1] < whole[1]:
        raise UserError(
            f"{setting('data.cache_features')}: images of {name} are up to {whole[0]} pixels high "
            f"and {whole[1]} wide, which crops of {crop[0]} x {crop[1]} would cut at random; set "
            f'{setting("augment.crop_size")}="{whole}", or it to False'
        )


def _size_before(folder: Workdir) -> tuple[int, ...] | None:
    try:
        size = folder.read_config()["augment"]["crop_size"]
    except (UserError, KeyError, TypeError):  # there is none, or it is damaged
        return None
    return tuple(size) if size else None


def _size_of_images(train: "data.Source | data.Mixture") -> tuple[int, ...]:
    sides = [statistics.median(lengths) for lengths in zip(*train.sampled_sizes, strict=True)]
    most = MOST_CPU_PIXELS if jax.default_backend() == "cpu" else MOST_PIXELS
    factor = min(1, math.sqrt(most / math.prod(sides)))
    return tuple(max(1, round(side * factor / MULTIPLE)) * MULTIPLE for side in sides)


def check_batches(
    config: ConfigDict, train: "data.Source | data.Mixture", val: "data.Source"
) -> None:
    """Check that batches fit into memory, as far as they must, however little the rest takes.

    Args:
        config: The settings of a run.
        train: What it trains on.
        val: What it validates on.

    Raises:
        UserError: They do not.
    """
    network, _ = MODELS[config.model.name]
    # float32 images, int32 labels, float32 scores; those of a classifier are of whole images.
    scores = 0 if network is Classifier else 4 * len(train.class_names)
    processes = jax.process_count()
    crops = math.prod(config.augment.crop_size) * config.batch_size // processes
    step = crops / config.optimizer.accumulate * (16 + scores / network.label_stride**2)
    largest = min(max(map(math.prod, val.sampled_sizes)), WHOLE_PIXELS)
    validation = largest * config.eval_batch_size / processes * (12 + scores)
    host = psutil.virtual_memory().total
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    devices = sum(each.get("bytes_limit", 0) for each in stats) or host
    for key, source, what, needed, there in (
        ("batch_size", train, "a batch of crops", 4 * crops, host / 4),  # some are read ahead
        ("batch_size", train, "images, labels and scores of a step", step, devices),
        ("eval_batch_size", val, "images and scores of a validation step", validation, devices),
    ):
        if needed > there:
            raise UserError(
                f"{key} is {config[key]}: {what} would take {needed / 2**30:.1f} GiB, and there is "
                f"room for {there / 2**30:.1f}; {source.name} has {len(source)} images"
            )
