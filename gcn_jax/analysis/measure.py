"""Speed and memory of a trained network on this machine."""

import statistics
import time

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from gcn_jax import models
from gcn_jax.evaluation import Predictor
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.training.state import create_state
from gcn_jax.training.step import make_train_step


def images_per_second(predictor: Predictor, source, repeats: int = 5) -> float:
    """Time prediction, from images on the host to class maps on the device.

    Args:
        predictor: The network; batches have its batch size.
        source: The images, of which the first batch is taken.
        repeats: The median of so many is taken, after one that compiles.
    """
    batch = next(iter(predictor.batches(source)))
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        predictor.class_maps(batch).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return len(batch.samples) / statistics.median(seconds[1:])


def training_memory(config: ConfigDict, num_classes: int) -> int:
    """Return the bytes that a training step holds at its peak, as the compiler plans them.

    Args:
        config: The settings of the run, of which network, batch and crop count.
        num_classes: That it scores.

    Returns:
        State, batch and what the step sets aside; on one device.
    """
    model = models.create_model(**config.model, num_classes=num_classes, remat=config.remat)
    tx = optax.sgd(0.01, momentum=0.9)
    state = jax.eval_shape(lambda key: create_state(model, tx, key, ema=False), jax.random.key(0))
    labels = jax.ShapeDtypeStruct((config.batch_size, *config.augment.crop_size), jnp.uint8)
    batch = {"image": jax.ShapeDtypeStruct((*labels.shape, 3), jnp.uint8), "label": labels}
    step = make_train_step(model, tx, mean=IMAGENET_MEAN, std=IMAGENET_STD, seed=0)
    plan = jax.jit(step, donate_argnums=0).lower(state, batch).compile().memory_analysis()
    return plan.argument_size_in_bytes + plan.temp_size_in_bytes
