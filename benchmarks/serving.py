"""Seconds to the class map of one image: `from_pretrained` and `predict` beside PyTorch.

    pip install -e '.[bench]'
    python -m benchmarks.serving [--models gcn_resnet50,...] [--repeats 20] [--output FILE.json]

The image has VOC's size, 500 x 375, the weights are random and the same on both sides, float32.
Each side is a process of its own: what it imports, its weights from a file, the first class map
(ours: compiled, once with an empty compilation cache and once with one that an earlier process
filled), and then one after the other. PyTorch's network is eager, in inference mode, channels
last. Processes take turns, three of each; reported are medians.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags

from benchmarks.contestants import NUM_CLASSES, TITLES, model_info, our_functions
from gcn_jax import atomic
from gcn_jax.cli import process

_MODELS = flags.DEFINE_list("models", list(TITLES), "The networks.")
flags.register_validator(
    _MODELS, lambda names: {*names} <= {*TITLES}, f"choose of {', '.join(TITLES)}"
)
_REPEATS = flags.DEFINE_integer("repeats", 20, "Class maps in a process, after the first.")
_TURNS = flags.DEFINE_integer("turns", 3, "Processes of each side.")
_OUTPUT = flags.DEFINE_string("output", None, "Where to write the figures, as JSON.")

_ROOT = Path(__file__).parents[1]
_SIZE = (375, 500)  # rows, columns
#: Title of a column -> the side. The first start of a turn fills the compilation cache.
_SIDES = {"first start": "ours", "second start": "ours", "PyTorch": "theirs"}


def main(argv):
    """Print a table in Markdown, or, with three arguments, be one of the processes."""
    if argv:
        side, model, folder = argv
        print(json.dumps(_serve(side, model, Path(folder))))
        return
    from benchmarks import machine

    report = machine.describe("jax", "jaxlib", "flax", "torch") | {"networks": {}}
    print("| network | " + " | ".join(f"{s}: first map s | then s" for s in _SIDES) + " |")
    print("|---|" + "---:|---:|" * len(_SIDES))
    for model in _MODELS.value:
        with tempfile.TemporaryDirectory() as folder:
            _write_weights(model, Path(folder))
            cells = report["networks"][model] = _measure(model, Path(folder))
        row = (f"{cells[s]['first']:.1f} | {cells[s]['then']:.3f}" for s in _SIDES)
        print(f"| {TITLES[model]} | {' | '.join(row)} |", flush=True)
    if _OUTPUT.value:
        atomic.write(_OUTPUT.value, json.dumps(report, indent=2) + "\n")


def _measure(model: str, folder: Path) -> dict[str, dict[str, float]]:
    """Return for each side the medians over its processes: first map and those after it."""
    answers = {title: [] for title in _SIDES}
    for turn in range(_TURNS.value):
        for title, side in _SIDES.items():
            cache = folder / f"cache{turn}"  # a first start fills that of its turn
            answers[title].append(_answer(side, model, folder, cache))
    return {
        title: {key: statistics.median(a[key] for a in of_side) for key in ("first", "then")}
        for title, of_side in answers.items()
    }


def _answer(side: str, model: str, folder: Path, cache: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.serving", f"--repeats={_REPEATS.value}"]
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
        "SERVING_START": str(time.time()),
    }
    said = subprocess.check_output(
        [*command, side, model, str(folder)], cwd=_ROOT, env=environment, text=True
    )
    return json.loads(said.splitlines()[-1])


def _serve(side: str, model: str, folder: Path) -> dict[str, float]:
    """Segment an image again and again; return the seconds to the first map and of the median."""
    segment = {"ours": _ours, "theirs": _theirs}[side](model, folder)
    image = np.random.default_rng(0).integers(0, 256, (*_SIZE, 3), np.uint8)
    assert segment(image).shape == _SIZE
    first = time.time() - float(os.environ["SERVING_START"])
    times = []
    for _ in range(_REPEATS.value):
        start = time.perf_counter()
        segment(image)
        times.append(time.perf_counter() - start)
    return {"first": first, "then": statistics.median(times)}


def _ours(model: str, folder: Path):
    from gcn_jax.models import from_pretrained, predict

    network, variables = from_pretrained(folder / "run")
    return lambda image: predict(network, variables, image)


def _theirs(model: str, folder: Path):
    import torch

    from benchmarks.torch_networks import TWINS
    from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD

    network = TWINS[model](NUM_CLASSES)
    network.load_state_dict(torch.load(folder / "network.pt", weights_only=True))
    network = network.eval().to(memory_format=torch.channels_last)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)

    def segment(image):
        with torch.inference_mode():
            normalized = (torch.from_numpy(image)[None].float() - mean) / std
            return network(normalized.permute(0, 3, 1, 2))[0].argmax(0).numpy()

    return segment


def _write_weights(model: str, folder: Path) -> None:
    """Write the weights that a network begins with: as a run's, and as PyTorch's state dict."""
    import jax
    import torch

    from benchmarks import torch_layers
    from benchmarks.torch_networks import TWINS
    from gcn_jax.models.pretrained.info import write_info
    from gcn_jax.training.checkpoints import Checkpoints

    state = jax.jit(our_functions(model, "float32").create)(jax.random.key(0))
    with Checkpoints(folder / "run") as checkpoints:
        checkpoints.save(0, state, {})
    write_info(folder / "run", model_info(model))
    network = TWINS[model](NUM_CLASSES)
    torch_layers.load(network, state.variables)
    torch.save(network.state_dict(), folder / "network.pt")


if __name__ == "__main__":
    process.run_script(main)
