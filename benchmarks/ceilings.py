"""The parts of a training step: the time of each, and how near it is to what the device can do.

    python -m benchmarks.ceilings [--model gcn_resnet50] [--size 256] [--batch 2]
        [--dtype float32] [--output benchmarks/results/NAME]

Two ceilings are measured first: the rate of a large product of matrices of that type, and the
bandwidth of memory in a sum of two long arrays. Then steps are profiled, and what each operation of
the compiled program takes is added to the part of the network whose name it carries, forward and
backward. For each part:

* seconds, of one step;
* FLOPs of the plain formulation (XLA's count for the traced program), over seconds and the first
  ceiling. Minimal filtering (`models/layers/cpu/winograd.py`) makes 16 in place of 36, so that a
  share flatters parts with such convolutions, and may be more than 1;
* bytes that the compiled operations read and write, each array once an operation, over seconds and
  the second ceiling. More than 1 means that caches answered.

What is near 1 in either is at the end of the device; a part far from both loses its time elsewhere,
in small operations, in waiting, or in what its kernels do beside products. A fused operation
carries one name: a neighbour may have paid for a part, such as a convolution for a batch-norm.

On a CPU all of this is of one core: XLA's profile does not know the end of an operation that
several threads share.
"""

import collections
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.extend.backend
import jax.numpy as jnp
from absl import flags

from benchmarks import hlo, machine
from benchmarks.contestants import TITLES, Case, Program, our_program
from benchmarks.parts import OUTSIDE, part_of, part_of_operation
from gcn_jax import atomic
from gcn_jax.analysis.costs.complexity import flops_by_part
from gcn_jax.analysis.sheets import Sheet
from gcn_jax.cli import process
from gcn_jax.errors import check_choice
from gcn_jax.models.layers import plain_formulation

_MODEL = flags.DEFINE_string("model", "gcn_resnet50", "The network.")
_SIZE = flags.DEFINE_integer("size", 256, "Pixels of a side.")
_BATCH = flags.DEFINE_integer("batch", 2, "Images in a batch.")
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Of the computation.")
_OUTPUT = flags.DEFINE_string("output", None, "Where to write NAME.json and NAME.md.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "How many steps are profiled.")

#: A graph of commands is one event of a GPU's profile: what is in it would not be told apart.
_XLA_FLAGS = "--xla_gpu_enable_command_buffer="
#: How many operations are listed.
_MOST_OPERATIONS = 10


class Operation(NamedTuple):
    """An operation of a compiled program.

    Attributes:
        part: Whose name it carries.
        moved: Bytes that it reads and writes each time it runs.
    """

    part: str
    moved: int


class Share(NamedTuple):
    """One part of a step: its seconds, its FLOPs and the bytes that it moves."""

    seconds: float = 0.0
    flops: int = 0
    moved: int = 0

    def __add__(self, other: "Share") -> "Share":
        return Share(*(mine + its for mine, its in zip(self, other, strict=True)))


class Profile(NamedTuple):
    """What was seen of some steps.

    Attributes:
        step_seconds: The seconds of one (median).
        shares: What each part takes of it, longest first.
        operations: The part and the seconds of the longest operations, by name.
    """

    step_seconds: float
    shares: dict[str, Share]
    operations: dict[str, dict[str, Any]]


def main(argv):
    """Measure ceilings and parts, print a table, write both files."""
    del argv
    check_choice("--model", _MODEL.value, TITLES)
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAGS}"
    if jax.default_backend() == "cpu":
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        jax.extend.backend.clear_backends()  # and count the cores again
    report = machine.describe("jax", "jaxlib", "flax", "optax")
    case = Case(_MODEL.value, _SIZE.value, _BATCH.value, _DTYPE.value)
    report |= {"accelerator": jax.devices()[0].device_kind, "case": str(case)}
    ceilings = {"flops": matrix_rate(case.dtype), "moved": bandwidth()}
    step_seconds, shares, operations = measure(our_program(case), _REPEATS.value)
    report |= {"ceilings": ceilings, "step_seconds": step_seconds, "operations": operations}
    report["parts"] = {part: share._asdict() for part, share in shares.items()}
    text = _markdown(report, shares)
    print(text)
    if _OUTPUT.value:
        atomic.write(Path(f"{_OUTPUT.value}.json"), json.dumps(report, indent=2) + "\n")
        atomic.write(Path(f"{_OUTPUT.value}.md"), text)


# ------------------------------------------------------------------------------------ the ceilings
def matrix_rate(dtype: str) -> float:
    """Measure a product of square matrices of that type, with the network's precision: FLOP/s."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    matrix = jnp.ones((size, size), dtype)
    return 2 * size**3 / _seconds(jax.jit(jnp.matmul), matrix, matrix)


def bandwidth() -> float:
    """Measure a sum of two arrays of 256 MiB, read and written: bytes/s."""
    array = jnp.ones(2**26, jnp.float32)
    return 3 * array.nbytes / _seconds(jax.jit(jnp.add), array, array)


def _seconds(function: Callable, *arguments: jax.Array) -> float:
    """Return the least of some calls, after two that compile and warm up."""
    times = []
    for _ in range(12):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return min(times[2:])


# --------------------------------------------------------------------------------------- the parts
def measure(program: Program, repeats: int) -> Profile:
    """Profile steps.

    Args:
        program: The compiled step, and what it is called with.
        repeats: How many steps are profiled.

    """
    step, _, state, batch = program
    with plain_formulation():
        # A function of its own: JAX would remember the step's other formulation.
        traced = jax.make_jaxpr(lambda *args: step.__wrapped__(*args))(state, batch)
    flops = flops_by_part(traced.jaxpr, part_of)
    compiled = step.lower(state, batch).compile()
    operations = read_operations(compiled.as_text())
    for _ in range(3):
        state, _ = jax.block_until_ready(compiled(state, batch))
    times = []
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(repeats):
                start = time.perf_counter()
                state, _ = jax.block_until_ready(compiled(state, batch))
                times.append(time.perf_counter() - start)
        events = _events(folder)
    shares = {part: Share(flops=count) for part, count in flops.items()}
    totals: collections.Counter[str] = collections.Counter()
    for name, seconds in events:
        if operation := operations.get(name):
            totals[name] += seconds / repeats
            share = Share(seconds / repeats, 0, operation.moved / repeats)
            shares[operation.part] = shares.get(operation.part, Share()) + share
    longest = sorted(shares.items(), key=lambda item: -item[1].seconds)
    return Profile(
        statistics.median(times),
        dict(longest),
        {
            name: {"part": operations[name].part, "seconds": seconds}
            for name, seconds in totals.most_common(_MOST_OPERATIONS)
        },
    )


def read_operations(text: str) -> dict[str, Operation]:
    """Read the operations of a compiled program, by name, from XLA's text.

    An operation in a loop reads a part of the arrays that it is given: it counts as reading as much
    as it writes. One without a name, as XLA makes when it rewrites products, has that of the last
    operand that belongs to a part.
    """
    bodies = set(re.findall(r"body=%?([\w.\-]+)", text))
    written: dict[str, int] = {}
    operations: dict[str, Operation] = {}
    for name, computation, kind, shapes, operands, op_name in hlo.read_operations(text):
        written[name] = sum(shape.padded for shape in shapes)
        reads = sum(written.get(operand, 0) for operand in operands)
        if computation in bodies:
            reads = written[name]
        if kind not in hlo.CONTAINERS:
            part = part_of_operation(op_name)
            if part is None:
                inherited = (operations[o].part for o in reversed(operands) if o in operations)
                part = next((part for part in inherited if part != OUTSIDE), OUTSIDE)
            operations[name] = Operation(part, written[name] + reads)
    return operations


def _events(folder: str) -> list[tuple[str, float]]:
    """Return the name and seconds of each operation that ran, on devices if there are any."""
    (path,) = Path(folder).rglob("*.xplane.pb")
    planes = list(jax.profiler.ProfileData.from_file(str(path)).planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:GPU")] or planes
    return [
        (dict(event.stats).get("hlo_op", event.name), event.duration_ns / 1e9)
        for plane in devices
        for line in plane.lines
        for event in line.events
    ]


# --------------------------------------------------------------------------------------- the table
def _markdown(report: Mapping, shares: Mapping[str, Share]) -> str:
    ceilings = report["ceilings"]
    rows = []
    for part, share in {**shares, "all": sum(shares.values(), Share())}.items():
        seconds = share.seconds or float("nan")
        rows.append(
            (
                part,
                f"{1e3 * share.seconds:.1f}",
                f"{share.flops / 1e9:.1f}",
                f"{share.flops / seconds / ceilings['flops']:.2f}",
                f"{share.moved / 1e9:.2f}",
                f"{share.moved / seconds / ceilings['moved']:.2f}",
            )
        )
    heads = ("part", "ms", "GFLOP", "of the matrix rate", "GB", "of the bandwidth")
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return (
        f"# {report['case']}\n\n"
        f"{report['accelerator']}, {report['device']}, cores: {report['cores']}; {report['date']}; "
        f"{versions}; load before {report['load']:.1f}. Ceilings: "
        f"{ceilings['flops'] / 1e9:,.0f} GFLOP/s in products of matrices, "
        f"{ceilings['moved'] / 1e9:,.1f} GB/s. A step: {1e3 * report['step_seconds']:.1f} ms.\n\n"
        f"{Sheet('', heads, rows).markdown()}"
    )


if __name__ == "__main__":
    process.run_script(main)
