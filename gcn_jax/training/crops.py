"""The crops of a run that leaves their size open, and whether a batch of them fits into memory."""

import math
import statistics
from pathlib import Path

import jax
import psutil
from ml_collections import ConfigDict

from gcn_jax import data
from gcn_jax.errors import UserError
from gcn_jax.models.classifier import Classifier
from gcn_jax.models.registry import MODELS
from gcn_jax.workdir import Workdir

#: Pixels of a crop at most, where the images are larger: on a CPU, and on other devices.
MOST_CPU_PIXELS, MOST_PIXELS = 256**2, 512**2
#: Height and width are multiples of it, the stride of most networks.
MULTIPLE = 32


def with_crop_size(
    config: ConfigDict, workdir: str | Path, train: data.Source | data.Mixture
) -> ConfigDict:
    """Fill in `augment.crop_size` where the config leaves it open.

    It is that of the run that the workdir holds already, else the median height and width of the
    training images, both made smaller by one factor where that is more than `MOST_PIXELS` (on a CPU
    `MOST_CPU_PIXELS`), and rounded to multiples of `MULTIPLE`.

    Args:
        config: The settings of a run.
        workdir: Its folder, which need not exist.
        train: What it trains on; up to 64 images of each data set are looked at.
    """
    if config.augment.crop_size is not None:
        return config
    config = config.copy_and_resolve_references()
    config.augment.crop_size = _size_before(Workdir(workdir)) or _size_of_images(train)
    return config


def _size_before(folder: Workdir) -> tuple[int, ...] | None:
    try:
        size = folder.read_config()["augment"]["crop_size"]
    except (UserError, KeyError, TypeError):  # there is none, or it is damaged
        return None
    return tuple(size) if size else None


def _size_of_images(train: data.Source | data.Mixture) -> tuple[int, ...]:
    sides = [statistics.median(lengths) for lengths in zip(*train.sampled_sizes, strict=True)]
    most = MOST_CPU_PIXELS if jax.default_backend() == "cpu" else MOST_PIXELS
    factor = min(1, math.sqrt(most / math.prod(sides)))
    return tuple(max(1, round(side * factor / MULTIPLE)) * MULTIPLE for side in sides)


def check_batch(config: ConfigDict, num_images: int, num_classes: int) -> None:
    """Check that a batch fits into memory, as far as it must, however little the rest takes.

    Args:
        config: The settings of a run.
        num_images: How many it trains on, for the message.
        num_classes: Of how many classes.

    Raises:
        UserError: It does not.
    """
    pixels = math.prod(config.augment.crop_size) * config.batch_size // jax.process_count()
    network, _ = MODELS[config.model.name]
    # float32 images, int32 labels, float32 scores; those of a classifier are of whole images.
    scores = 0 if network is Classifier else 4 * num_classes / network.label_stride**2
    step = pixels / config.optimizer.accumulate * (16 + scores)
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    host = psutil.virtual_memory().total
    devices = sum(each.get("bytes_limit", 0) for each in stats) or host
    if 4 * pixels > host / 4:  # bytes of images and labels, and some batches are read ahead
        needs = f"one batch of crops takes {4 * pixels / 2**30:.0f} GiB, and this machine has "
        needs += f"{host / 2**30:.0f}"
    elif step > devices:
        needs = f"images, labels and scores of one step take {step / 2**30:.0f} GiB, and the "
        needs += f"devices have {devices / 2**30:.0f}"
    else:
        return
    raise UserError(
        f"batch_size is {config.batch_size}: {needs}; the training set has {num_images} images"
    )
