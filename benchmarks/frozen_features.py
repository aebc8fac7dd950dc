"""Seconds of a head's step on features that are kept, and of the same step without them.

    python -m benchmarks.frozen_features [--model linear_dinov2_small] [--output FILE.json]

Weights and images are random: the time does not depend on them. Beside seconds of the clock it
gives those of all cores, which say more where other work runs beside. The last line is a run of
100 images by them: 80 of training, as they are and mirrored, 20 of validation.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks import machine
from gcn_jax import atomic, models
from gcn_jax.cli import process
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.training.config import default_config
from gcn_jax.training.features import Features
from gcn_jax.training.optimizer import make_optimizer, make_schedule
from gcn_jax.training.state import create_state
from gcn_jax.training.step import make_train_step

_MODEL = flags.DEFINE_string("model", "linear_dinov2_small", "A network with a frozen backbone.")
_BATCH = flags.DEFINE_integer("batch", 8, "Images in a step.")
_HEIGHT = flags.DEFINE_integer("height", 360, "Pixels of an image's height.")
_WIDTH = flags.DEFINE_integer("width", 480, "Pixels of an image's width.")
_CLASSES = flags.DEFINE_integer("classes", 11, "Classes.")
_STEPS = flags.DEFINE_integer("steps", 1_000, "Steps of the run.")
_REPEATS = flags.DEFINE_integer(
    "repeats", 3, "Measurements of each, after one that does not count."
)
_OUTPUT = flags.DEFINE_string("output", None, "Where to write the figures, as JSON.")

#: Images that the backbone of a run of 100 sees.
_VIEWS = 2 * 80 + 20


def main(argv):
    """Time both steps and the features of an image, print and write."""
    del argv
    size = (_BATCH.value, _HEIGHT.value, _WIDTH.value)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (*size, 3)).astype(np.uint8),
        "label": rng.integers(0, _CLASSES.value, size).astype(np.uint8),
    }
    model = models.create_model(_MODEL.value, num_classes=_CLASSES.value)
    settings = default_config().optimizer
    schedule = make_schedule(settings, _STEPS.value)
    tx = make_optimizer(settings, schedule, frozen_batch_norm=False, frozen_backbone=True)
    preparation = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    step = make_train_step(model, tx, seed=0, **preparation)
    state = jax.jit(lambda: create_state(model, tx, jax.random.key(0), ema=False))()
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    report = machine.describe("jax", "jaxlib", "flax")
    report |= {"model": _MODEL.value, "batch": _BATCH.value, "size": list(size[1:])}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        features = Features(model, variables, **preparation)
        views = iter(rng.integers(0, 256, (1 + _REPEATS.value, *size[1:], 3)).astype(np.uint8))
        report["features_of_an_image"] = _seconds(lambda: features.keep(next(views)))
        features.of(batch["image"])

        jitted = jax.jit(step, donate_argnums=0)

        def on_kept() -> None:
            nonlocal state
            state, _ = jitted(state, batch | features.of(batch["image"]))
            jax.block_until_ready(state)

        report["step_on_features"] = _seconds(on_kept)

        def on_images() -> None:
            nonlocal state
            state, _ = jitted(state, batch)
            jax.block_until_ready(state)

        report["step_on_images"] = _seconds(on_images)
    for clock in ("wall", "cores"):
        image, head, whole = (
            report[name][clock]
            for name in ("features_of_an_image", "step_on_features", "step_on_images")
        )
        kept, anew = _VIEWS * image + _STEPS.value * head, _STEPS.value * whole
        report[f"run_{clock}"] = {"kept": kept, "at_each_step": anew}
        print(
            f"{clock}: {image:.2f} s an image, {head:.3f} s a step on kept features, {whole:.2f} "
            f"without; {_STEPS.value} steps: {kept:.0f} s and {anew:.0f} s (validation left out)"
        )
    if _OUTPUT.value:
        atomic.write(_OUTPUT.value, json.dumps(report, indent=2) + "\n")


def _seconds(function: Callable[[], Any]) -> dict[str, float]:
    """Return medians of the clock's seconds and of those of all cores, after a first call."""
    function()
    times = []
    for _ in range(_REPEATS.value):
        start = time.perf_counter(), time.process_time()
        function()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    wall, cores = map(statistics.median, zip(*times, strict=True))
    return {"wall": wall, "cores": cores}


if __name__ == "__main__":
    process.run_script(main)
