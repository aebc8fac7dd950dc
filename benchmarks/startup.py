"""Seconds from the start of `train.py` to the end of its first step: first start, second start.

    python -m benchmarks.startup [--model gcn_resnet50] [--size 256] [--output FILE.json]

The first start fills an empty compilation cache, the second one reads it; each has a new workdir.
The data is prepared before, by a start that is not counted. Also measured: what
`import gcn_jax.models` adds to `import jax` (the median of five).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import flags

from benchmarks import machine
from gcn_jax import atomic
from gcn_jax.cli import process

_MODEL = flags.DEFINE_string("model", "gcn_resnet50", "The network.")
_SIZE = flags.DEFINE_integer("size", 256, "Pixels of a side of the crops.")
_OUTPUT = flags.DEFINE_string("output", None, "Where to write the figures, as JSON.")

_ROOT = Path(__file__).parents[1]
_IMPORT = """
import time, jax
start = time.perf_counter()
import gcn_jax.models
print(time.perf_counter() - start)
"""


def main(argv):
    """Start training three times, print and write."""
    del argv
    report = machine.describe("jax", "jaxlib", "flax") | {"model": _MODEL.value}
    imports = [float(subprocess.check_output([sys.executable, "-c", _IMPORT])) for _ in range(5)]
    report["import_gcn_jax_models"] = statistics.median(imports)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _first_step(root, "data", "_tiny")
        for run in ("first_start", "second_start"):
            report[run] = _first_step(root, run, _MODEL.value)
            print(f"{run}: {report[run]:.1f} s to the first step", flush=True)
    report["ratio"] = report["first_start"] / report["second_start"]
    print(f"{report['ratio']:.1f} times sooner; {report['import_gcn_jax_models']:.2f} s of imports")
    if _OUTPUT.value:
        atomic.write(_OUTPUT.value, json.dumps(report, indent=2) + "\n")


def _first_step(root: Path, workdir: str, model: str) -> float:
    """Start training, and end it once it says that it made a step; return the seconds."""
    command = [
        sys.executable,
        "train.py",
        "--config=configs/quickstart.py",
        f"--workdir={root / workdir}",
        f"--compilation_cache={root / 'cache'}",
        f"--config.data.data_dir={root / 'data_sets'}",
        f"--config.model.name={model}",
        f"--config.augment.crop_size=({_SIZE.value},{_SIZE.value})",
        "--config.model.boundary_refinement=True",
        "--config.model.upsampling=deconv",
        "--config.batch_size=2",
        "--config.num_devices=1",
    ]
    start = time.perf_counter()
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if "first step" in line:
                process.kill()
                return time.perf_counter() - start
    raise SystemExit("".join(said))


if __name__ == "__main__":
    process.run_script(main)
