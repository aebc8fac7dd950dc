"""Speed and memory of a trained network on this machine."""

import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gcn_jax import data
from gcn_jax.errors import UserError
from gcn_jax.inference import Predictor
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.training.parts import make_parts
from gcn_jax.workdir import Workdir


def images_per_second(predictor: Predictor, source: "data.Source", repeats: int = 5) -> float:
    """Time prediction, from images on the host to class maps on the device.

    Args:
        predictor: The network; batches have its batch size.
        source: The images, of which the first batch is taken.
        repeats: How many times are measured, after one that compiles; the median counts.
    """
    batch = next(iter(predictor.batches(source)))
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        predictor.predict_batch(batch).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return len(batch.examples) / statistics.median(seconds[1:])


def training_speed(workdir: Path) -> float:
    """Return the images a second that a run trained, without its validations.

    Args:
        workdir: The folder of a run that is done.

    Returns:
        The median over what it logged.
    """
    rows = Workdir(workdir).read_metrics()
    key = "train/images_per_second"
    return statistics.median(row[key] for row in rows if key in row)


def training_memory(config: ConfigDict) -> int:
    """Return the bytes that a training step of a run needs, as the compiler plans them.

    Args:
        config: The settings of the run.

    Returns:
        The bytes of state, batch and what the step sets aside, for the whole batch on one device.
    """
    source = data.open_training_source(config.data.train, config.data)
    parts = make_parts(config, source, IMAGENET_MEAN, IMAGENET_STD)
    state = jax.eval_shape(parts.init, jax.random.key(0))
    accumulate = config.optimizer.accumulate
    shape = (config.batch_size, *config.augment.crop_size)
    if accumulate > 1:
        shape = (accumulate, config.batch_size // accumulate, *shape[1:])
    labels = jax.ShapeDtypeStruct(shape, jnp.uint8)
    batch = {"image": jax.ShapeDtypeStruct((*shape, 3), jnp.uint8), "label": labels}
    plan = jax.jit(parts.step, donate_argnums=0).lower(state, batch).compile().memory_analysis()
    if plan is None:
        raise UserError(
            f"{jax.default_backend()}'s compiler does not say how much memory a program needs; "
            "compare on another kind of device"
        )
    # The new state takes the place of the old one.
    return plan.argument_size_in_bytes + plan.temp_size_in_bytes
