"""Exported files beside JAX on this device: size, time to be ready, time of a call.

    python -m benchmarks.exported [--model gcn_resnet50] [--size 256] [--batch 2] [--repeats 10]

Weights are random, and images noise. JAX runs the network as `predict` does; the files run in
turns with it, and the best turn of each counts. The ONNX file that takes any size is run beside
that of one size, and OpenVINO runs both where it is installed (`pip install openvino`): it may
share a Python with JAX, but not with another version of NumPy than it wants.
"""

import functools
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from absl import flags

from benchmarks.contestants import NUM_CLASSES, model_info
from benchmarks.machine import describe
from gcn_jax import export, models
from gcn_jax.cli import process
from gcn_jax.export.check import compare
from gcn_jax.export.onnx_file import require_onnx, write_onnx
from gcn_jax.export.stablehlo import write_stablehlo
from gcn_jax.export.target import make_target

_MODEL = flags.DEFINE_string("model", "gcn_resnet50", "Name of the network.")
_SIZE = flags.DEFINE_integer("size", 256, "Pixels of a side.")
_BATCH = flags.DEFINE_integer("batch", 2, "Images in a call.")
_REPEATS = flags.DEFINE_integer("repeats", 10, "Turns.")


def main(argv):
    """Print a table in Markdown."""
    del argv
    runtime, openvino = require_onnx(), _openvino()
    target = make_target(_random(_MODEL.value), ("logits",))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (_BATCH.value, _SIZE.value, _SIZE.value, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        stablehlo, onnx = Path(folder, "a.stablehlo"), Path(folder, "a.onnx")
        fixed, size = Path(folder, "fixed.onnx"), images.shape[1:3]
        write = {
            "StableHLO": (stablehlo, lambda: write_stablehlo(target, stablehlo, [images])),
            "ONNX": (onnx, lambda: write_onnx(target, onnx, [images])),
            "ONNX of one size": (fixed, lambda: write_onnx(target, fixed, [images], size)),
        }
        rows = {"JAX": ["", "", ""]}
        for name, (file, function) in write.items():
            start = time.perf_counter()
            (difference,) = function()
            seconds = time.perf_counter() - start
            rows[name] = [
                f"{seconds:.1f}", f"{file.stat().st_size / 2**20:.1f}", f"{difference.share:.1e}"
            ]  # fmt: skip
        weights = jax.tree.map(jax.numpy.asarray, target.weights)
        plain = jax.jit(target.logits)
        segment = export.load(stablehlo)
        calls = {
            "JAX": lambda: plain(weights, images).block_until_ready(),
            "StableHLO": lambda: segment(images).block_until_ready(),
        }
        for name, file in (("ONNX", onnx), ("ONNX of one size", fixed)):
            session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
            calls[name] = functools.partial(session.run, None, {"images": images})
            if openvino:
                # By default OpenVINO computes in bfloat16 where the CPU can.
                exact = {"INFERENCE_PRECISION_HINT": "f32"}
                compiled = openvino.Core().compile_model(file, "CPU", exact)
                calls[f"{name}, OpenVINO"] = functools.partial(compiled, {"images": images})
                rows[f"{name}, OpenVINO"] = ["", "", f"{_differs(compiled, target, images):.1e}"]
        first = {name: _seconds(call) for name, call in calls.items()}
        turns = [{n: _seconds(call) for n, call in calls.items()} for _ in range(_REPEATS.value)]
    print(describe("jax", "onnx", "onnxruntime", *(["openvino"] if openvino else [])))
    print("| | export s | MiB | difference | first call s | best call s |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, row in rows.items():
        best = min(turn[name] for turn in turns)
        print(f"| {name} | {' | '.join(row)} | {first[name]:.1f} | {best:.3f} |")


def _openvino():
    try:
        import openvino
    except ImportError:
        print("OpenVINO is not installed, and is left out: pip install openvino")
        return None
    return openvino


def _differs(compiled, target, images) -> float:
    """Return what `compare` finds of OpenVINO's logits; it raises where they are others."""
    (difference,) = compare(target, lambda output, x: compiled({"images": x})[output], [images])
    return difference.share


def _random(name: str) -> models.Pretrained:
    """Return a network with the weights that it begins with."""
    model = models.create_model(name, num_classes=NUM_CLASSES)
    blank = np.zeros((1, 64, 64, 3), np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), blank)
    info = model_info(name)
    preprocessing = {"mean": np.float32(info.mean), "std": np.float32(info.std)}
    return models.Pretrained(model, {**variables, "preprocessing": preprocessing}, info, 0)


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    process.run_script(main)
