"""The growth of a step of GCN-ResNet-18 with image size, batch, k and number of devices.

    python -m benchmarks.growth [--output benchmarks/results/NAME.json] [--plot docs/growth.svg]

For each it measures the seconds of a step (the median of a few) and what XLA sets aside for it on
each device beside state and batch (`memory_analysis`), and fits the law that both should follow,
a + b x: x is the number of pixels, of images, k, or one over the number of devices. Devices are
parts of one processor here, which has the same work to do however it is divided: their time should
not change at all.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import optax
from absl import flags
from matplotlib.figure import Figure

from benchmarks import machine
from benchmarks.contestants import NUM_CLASSES
from gcn_jax import atomic, mesh, models
from gcn_jax.cli import process
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.training.state import create_state
from gcn_jax.training.step import make_train_step

_OUTPUT = flags.DEFINE_string("output", None, "Where to write the figures, as JSON.")
_PLOT = flags.DEFINE_string("plot", None, "Where to draw them, as .svg or .png.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "How often each step is timed.")

#: Steps before those that count: malloc has yet to find its size.
_WARM_UP = 4
#: What is held while one of them grows.
_FIXED = {"size": 128, "batch": 4, "kernel_size": 15, "devices": 1}
_MOST_DEVICES = 8


class Axis(NamedTuple):
    """One quantity that grows.

    Attributes:
        values: What it is set to.
        law: The x of the law a + b x, as words and as a function of the value.
        fixed: What is held otherwise than in `_FIXED`.
    """

    values: tuple[int, ...]
    law: tuple[str, Callable[[int], float]]
    fixed: dict[str, int] = {}


AXES = {
    "size": Axis((64, 128, 192, 256), ("size²", lambda size: size**2)),
    "batch": Axis((1, 2, 4, 8), ("batch", float)),
    "kernel_size": Axis((3, 15, 31, 63), ("k", float)),
    "devices": Axis((1, 2, 4, 8), ("1 / devices", lambda count: 1 / count), {"batch": 8}),
}


def main(argv):
    """Measure, fit, print, and write."""
    del argv
    count = f"--xla_force_host_platform_device_count={_MOST_DEVICES}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {count}"
    process.keep_freed_memory()
    report = machine.describe("jax", "jaxlib", "flax", "optax") | {"fixed": _FIXED, "axes": {}}
    for name, axis in AXES.items():
        rows = []
        for value in axis.values:
            seconds, temporary = _measure(**_FIXED | axis.fixed | {name: value})
            rows.append({name: value, "step_seconds": seconds, "bytes_a_device": temporary})
            print(f"{name} {value}: {seconds:.3f} s, {temporary / 2**20:.0f} MiB", flush=True)
        report["axes"][name] = {"rows": rows, "fits": _fits(name, axis, rows)}
        print(report["axes"][name]["fits"], flush=True)
    if _OUTPUT.value:
        atomic.write(_OUTPUT.value, json.dumps(report, indent=2) + "\n")
    if _PLOT.value:
        _draw(report["axes"], _PLOT.value)


def _measure(size: int, batch: int, kernel_size: int, devices: int) -> tuple[float, int]:
    """Return the seconds of a step, and the bytes set aside for it on each device."""
    model = models.create_model("gcn_resnet18", num_classes=NUM_CLASSES, kernel_size=kernel_size)
    tx = optax.sgd(1e-3, momentum=0.9)
    grid = mesh.data_mesh(jax.devices()[:devices])
    everywhere = mesh.replicated(grid)
    state = jax.jit(lambda key: create_state(model, tx, key, ema=False), out_shardings=everywhere)(
        jax.random.key(0)
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, size, size, 3), np.uint8)
    labels = rng.integers(0, NUM_CLASSES, (batch, size, size), np.uint8)
    data = mesh.shard_batch({"image": images, "label": labels}, grid)
    step = make_train_step(model, tx, mean=IMAGENET_MEAN, std=IMAGENET_STD, seed=0)
    step = jax.jit(step, donate_argnums=0, out_shardings=everywhere).lower(state, data).compile()

    seconds = []
    for _ in range(_WARM_UP + _REPEATS.value):
        start = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, data))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[_WARM_UP:]), step.memory_analysis().temp_size_in_bytes


def _fits(name: str, axis: Axis, rows: list[dict]) -> dict[str, dict]:
    """Fit a + b x to both columns; "off" is the largest deviation, relative to the fit."""
    words, law = axis.law
    x = np.array([law(row[name]) for row in rows])
    fits = {}
    for column in ("step_seconds", "bytes_a_device"):
        y = np.array([row[column] for row in rows])
        b, a = map(float, np.polyfit(x, y, 1))
        off = float(np.abs(y / (a + b * x) - 1).max())
        fits[column] = {"x": words, "a": a, "b": b, "off": off}
    return fits


def _draw(axes: dict[str, dict], path: str) -> None:
    """Draw the measurements as points, and the laws as lines."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    grid = figure.subplots(2, len(axes), sharey="row")
    for row, (column, unit, scale) in zip(
        grid,
        (("step_seconds", "s a step", 1), ("bytes_a_device", "MiB a device", 2**-20)),
        strict=True,
    ):
        row[0].set_ylabel(unit)
        for plot, (name, axis) in zip(row, axes.items(), strict=True):
            fit, law = axis["fits"][column], AXES[name].law[1]
            values = np.array([point[name] for point in axis["rows"]])
            line = np.linspace(values[0], values[-1], 100)
            plot.plot(line, scale * (fit["a"] + fit["b"] * np.vectorize(law)(line)), "0.6")
            plot.plot(values, [scale * point[column] for point in axis["rows"]], "ko")
            plot.set(title=f"a + b · {fit['x']}", xlabel=name, xticks=values)
            plot.set_ylim(bottom=0)
    figure.savefig(path)


if __name__ == "__main__":
    process.run_script(main)
