"""Our dense CRF beside the authors' C++ (`pip install -e .[bench]`), interleaved in one run.

    python -m benchmarks.dense_crf [--images FOLDER] [--json FILE] [--set_images 60]

First, single images of 500 x 375 pixels and 21 classes: the medians of both, and of the ratio of
each pair of runs; building the lattices is included, compilation is not. Then a set of images of
many sizes, each size new to us: the time with and without compilation, and how often we compiled.
Without --images the images are synthetic; photographs have more even colours.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.machine import versions
from gcn_jax import atomic
from gcn_jax.cli import process
from gcn_jax.data.image_files import find_images
from gcn_jax.inference.crf import CRFParameters, crf_parameters, dense_crf, dense_crf_batch
from gcn_jax.inference.crf.mean_field import mean_field

_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs; synthetic ones if None.")
_REPETITIONS = flags.DEFINE_integer("repetitions", 5, "Pairs of runs of each image.")
_SET_IMAGES = flags.DEFINE_integer("set_images", 60, "Images in the set of many sizes.", 1)
_JSON = flags.DEFINE_string("json", None, "File to write the results to.")

_NUM_CLASSES = 21
_SIZE = (375, 500)
_NUM_SINGLE_IMAGES = 3
_PRESETS = ("deeplab_v1", "deeplab_v2_resnet101")
_BATCH_SIZE = 4

Problem = tuple[np.ndarray, np.ndarray]  # probabilities and image


def main(argv):
    """Measure, print, and write the results."""
    del argv
    results: dict[str, Any] = {"environment": _environment(), "single": [], "set": []}
    for preset in _PRESETS:
        results["single"].append({"preset": preset, **_single(crf_parameters(preset))})
    for preset in _PRESETS:
        results["set"].append({"preset": preset, **_many_sizes(crf_parameters(preset))})
    results["environment"]["load_at_the_end"] = os.getloadavg()
    for name in ("single", "set"):
        table = Table(*results[name][0], title=name)
        for row in results[name]:
            table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
        Console().print(table)
    if _JSON.value:
        atomic.write(_JSON.value, json.dumps(results, indent=2) + "\n")


def _environment() -> dict[str, Any]:
    device = jax.devices()[0]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": f"{device.platform}: {device.device_kind}",
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "versions": versions("jax", "numpy", "pydensecrf2"),
        "images": "photographs" if _IMAGES.value else "synthetic",
        "load_at_the_start": os.getloadavg(),
    }


def _single(parameters: CRFParameters) -> dict[str, float]:
    """Compare on images of one size, one at a time, in turns."""
    times, differences, agreements = [], [], []
    for seed in range(_NUM_SINGLE_IMAGES):
        problem = _problem(seed, *_SIZE)
        ours, theirs = dense_crf(*problem, parameters), _cpp(*problem, parameters)
        differences.append(np.abs(ours - theirs).mean())
        agreements.append((ours.argmax(axis=-1) == theirs.argmax(axis=-1)).mean())
        for _ in range(_REPETITIONS.value):
            times.append([_seconds(f, *problem, parameters) for f in (dense_crf, _cpp)])
    ours, theirs = np.median(times, axis=0)
    return {
        "ours_seconds": ours,
        "cpp_seconds": theirs,
        "median_ratio": float(np.median([a / b for a, b in times])),
        "mean_difference": float(np.mean(differences)),
        "argmax_agreement": float(np.mean(agreements)),
    }


def _many_sizes(parameters: CRFParameters) -> dict[str, float]:
    """Compare on a set of images, batch by batch in turns, first with compilation."""
    rng = np.random.default_rng(0)
    sides = rng.integers(280, 501, _SET_IMAGES.value)
    shapes = [(int(s), 500) if i % 3 else (500, int(s)) for i, s in enumerate(sides)]
    problems = [_problem(seed, *shape) for seed, shape in enumerate(shapes)]
    batches = [problems[i : i + _BATCH_SIZE] for i in range(0, len(problems), _BATCH_SIZE)]
    jax.clear_caches()
    cold = sum(_seconds(_ours_batch, batch, parameters) for batch in batches)
    pairs = [
        [_seconds(f, batch, parameters) for f in (_ours_batch, _cpp_batch)] for batch in batches
    ]
    warm, theirs = np.sum(pairs, axis=0)
    return {
        "images": len(problems),
        "sizes": len(set(shapes)),
        "compilations": mean_field._cache_size(),
        "ours_seconds_with_compilation": cold,
        "ours_seconds": warm,
        "cpp_seconds": theirs,
        "ratio_with_compilation": cold / theirs,
        "ratio": warm / theirs,
    }


def _ours_batch(batch: list[Problem], parameters: CRFParameters) -> None:
    dense_crf_batch(*zip(*batch, strict=True), parameters)


def _cpp_batch(batch: list[Problem], parameters: CRFParameters) -> None:
    for problem in batch:
        _cpp(*problem, parameters)


def _cpp(probabilities: np.ndarray, image: np.ndarray, parameters: CRFParameters) -> np.ndarray:
    import pydensecrf.densecrf as cpp

    height, width, num_classes = probabilities.shape
    crf = cpp.DenseCRF2D(width, height, num_classes)
    unary = -np.log(np.clip(probabilities, 1e-5, 1)).reshape(-1, num_classes).T
    crf.setUnaryEnergy(np.ascontiguousarray(unary))
    crf.addPairwiseGaussian(sxy=parameters.gaussian_sxy, compat=parameters.gaussian_weight)
    crf.addPairwiseBilateral(
        sxy=parameters.bilateral_sxy,
        srgb=parameters.bilateral_srgb,
        rgbim=image,
        compat=parameters.bilateral_weight,
    )
    marginals = np.asarray(crf.inference(parameters.iterations))
    return marginals.T.reshape(height, width, num_classes)


def _seconds(function: Callable, *arguments) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def _problem(seed: int, height: int, width: int) -> Problem:
    """Make an image and class probabilities as smooth as a network's that are scaled up."""
    rng = np.random.default_rng(seed)
    scores = 3 * _smooth(rng, height, width, 24, _NUM_CLASSES)
    probabilities = np.exp(scores - scores.max(axis=-1, keepdims=True))
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    return probabilities, _photograph(seed, height, width) if _IMAGES.value else _synthetic(
        rng, height, width
    )


def _photograph(seed: int, height: int, width: int) -> np.ndarray:
    paths = find_images([_IMAGES.value])
    with Image.open(Path(paths[seed * len(paths) // _SET_IMAGES.value % len(paths)])) as file:
        return np.array(file.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))


def _synthetic(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Regions of their own colours, shaded, textured and with the noise of a sensor."""
    regions = _smooth(rng, height, width, 60, 12).argmax(axis=-1)
    colors = rng.uniform(30, 225, (12, 3))[regions]
    shading = 20 * _smooth(rng, height, width, 90, 1) + 8 * _smooth(rng, height, width, 6, 1)
    noise = rng.normal(scale=3, size=(height, width, 3))
    return np.clip(colors + shading + noise, 0, 255).astype(np.uint8)


def _smooth(rng, height: int, width: int, scale: int, channels: int) -> np.ndarray:
    """Noise of unit variance on a coarse grid, scaled up: float32 [height, width, channels]."""
    coarse = rng.standard_normal((channels, height // scale + 2, width // scale + 2))
    fields = [
        Image.fromarray(field.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
        for field in coarse
    ]
    return np.stack([np.asarray(field) for field in fields], axis=-1)


if __name__ == "__main__":
    process.run_script(main)
