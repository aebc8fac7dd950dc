"""What TPUs would run, compiled here without one: memory, bytes, FLOPs, layouts, collectives.

    pip install -e '.[tpu]'        # the TPU's compiler, libtpu; Python 3.12 or newer
    python -m benchmarks.tpu NETWORK [--topology v5e:2x4] [--batch 16] [--size 512] [--train]
        [--split data|height] [--dtype bfloat16] [--output NAME] [--text FILE]

A forward pass from uint8 images to logits, or with --train a training step, is compiled for the
chips of a topology in the words of `models/layers/plain.py`, which a TPU gets, and not in those of
this machine's CPU. Nothing runs. The batch, of all chips, is split over them; for one large image
`--split height` gives each chip some of its rows.

All figures are of one chip. "By XLA's count" are the compiler's own numbers; the roofline divides
them by what the chip can do at most, and is a lower bound of the time. Tables count otherwise: each
operation reads and writes its arrays once, in the large memory (HBM) and as they lie there, filled
up to whole tiles. That is more than XLA counts where an operation reads a part of an array. A fused
operation carries one name: a neighbour may have paid for a part.
"""

import collections
import datetime
import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from absl import flags

from benchmarks import hlo, machine
from benchmarks.ceilings import OUTSIDE, part_of_operation
from benchmarks.contestants import our_functions
from gcn_jax import atomic, mesh, models
from gcn_jax.analysis.sheets import Sheet
from gcn_jax.cli import process
from gcn_jax.errors import UserError, check_choice
from gcn_jax.models.layers import plain_formulation

_TOPOLOGY = flags.DEFINE_string("topology", "v5e:2x2", "Kind of chip, and how many lie how.")
_TPU_BATCH = flags.DEFINE_integer("batch", 16, "Images in a batch, of all chips.", lower_bound=1)
_TPU_SIZE = flags.DEFINE_integer("size", 512, "Pixels of a side.", lower_bound=1)
_TPU_DTYPE = flags.DEFINE_enum("dtype", "bfloat16", ["float32", "bfloat16"], "Of the computation.")
_SPLIT = flags.DEFINE_enum("split", "data", ["data", "height"], "What is split over the chips.")
_TRAIN = flags.DEFINE_bool("train", False, "A training step, not a forward pass.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Where to write NAME.json and NAME.md; by default in benchmarks/results/."
)
_TEXT = flags.DEFINE_string("text", None, "File for XLA's text of the compiled program.")

_RESULTS = Path(__file__).parent / "results"
#: Kinds that move no bytes: names for arrays that are there.
_FREE = ("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all")
#: How many arrays are listed.
_MOST_ARRAYS = 12


class Chip(NamedTuple):
    """What one chip can do at most.

    Attributes:
        flops: FLOP/s with bfloat16 operands, which products of float32 have on a TPU, too, unless
            a higher precision is asked for.
        bandwidth: Bytes/s of its large memory.
        source: Where both are published.
    """

    flops: float
    bandwidth: float
    source: str


#: Chips by the names of their topologies; the pages as of November 2026.
CHIPS = {
    "v5e": Chip(197e12, 819e9, "https://cloud.google.com/tpu/docs/v5e"),
    "v5p": Chip(459e12, 2765e9, "https://cloud.google.com/tpu/docs/v5p"),
    "v6e": Chip(918e12, 1638e9, "https://cloud.google.com/tpu/docs/v6e"),
}


class Traffic(NamedTuple):
    """What operations read and write: values alone, and with what fills their tiles."""

    values: int = 0
    padded: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(self.values + other.values, self.padded + other.padded)


def main(argv):
    """Compile, print the tables, write both files."""
    network = _network(argv)
    devices = _topology(_TOPOLOGY.value)
    lowered = lower(
        network,
        (_TPU_BATCH.value, _TPU_SIZE.value, _TPU_SIZE.value),
        _TPU_DTYPE.value,
        devices,
        split=_SPLIT.value,
        train=_TRAIN.value,
    )
    compiled = _compile(lowered)
    if _TEXT.value:
        atomic.write(_TEXT.value, compiled.as_text())
    what = "train" if _TRAIN.value else "forward"
    report = machine.describe("jax", "libtpu", "flax", "optax") | {
        "network": network,
        "program": what,
        "topology": _TOPOLOGY.value,
        "chip": devices[0].device_kind,
        "batch": _TPU_BATCH.value,
        "size": _TPU_SIZE.value,
        "split": _SPLIT.value,
        "dtype": _TPU_DTYPE.value,
    }
    memory = compiled.memory_analysis()
    report |= {
        "memory": {
            name: getattr(memory, f"{name}_size_in_bytes")
            for name in ("argument", "output", "alias", "temp")
        },
        "cost": {name: compiled.cost_analysis()[name] for name in ("flops", "bytes accessed")},
        **read_program(compiled.as_text()),
    }
    text = markdown(report)
    print(text)
    topology = _TOPOLOGY.value.replace(":", "_")
    today = datetime.date.today().isoformat()
    name = _OUTPUT.value or str(
        _RESULTS / f"tpu_{topology}_{today}_{network}_{what}_{_SPLIT.value}_"
        f"{_TPU_BATCH.value}x{_TPU_SIZE.value}_{_TPU_DTYPE.value}"
    )
    atomic.write(f"{name}.json", json.dumps(report, indent=2) + "\n")
    atomic.write(f"{name}.md", text)
    print(f"written: {name}.json, {name}.md")


# ------------------------------------------------------------------------------------- the program
def lower(
    network: str,
    shape: tuple[int, int, int],
    dtype: str,
    devices: Sequence[Any],
    *,
    split: str = "data",
    train: bool = False,
) -> jax.stages.Lowered:
    """Trace a program for devices that need not be there, in the formulation of accelerators.

    Args:
        network: A name of `models.create_model`.
        shape: N, H and W of the images.
        dtype: "float32" or "bfloat16".
        devices: The devices that it is for.
        split: What is split over them: "data", the batch, or "height", the rows of the images.
        train: Whether it is a training step, or else a forward pass.

    Raises:
        UserError: The images cannot be split so.
    """
    if train and split == "height":
        raise UserError("--split=height is for forward passes; training splits batches: --split=data")
    axis = ("data", "height").index(split)
    if shape[axis] % len(devices):
        flag = ("batch", "size")[axis]
        raise UserError(f"--{flag}={shape[axis]} does not divide over {len(devices)} chips")
    create, step, forward = our_functions(network, dtype)
    grid = mesh.data_mesh(devices)
    everywhere, parts = mesh.replicated(grid), mesh.batch_sharding(grid, axis)
    state = _placed(jax.eval_shape(create, jax.random.key(0)), everywhere)
    images = jax.ShapeDtypeStruct((*shape, 3), jnp.uint8, sharding=parts)
    labels = jax.ShapeDtypeStruct(shape, jnp.uint8, sharding=parts)
    with plain_formulation():
        if train:
            jitted = jax.jit(step, donate_argnums=0, out_shardings=everywhere)
            return jitted.lower(state, {"image": images, "label": labels})
        return jax.jit(forward).lower(state.variables, images)


def _placed(tree: Any, sharding: jax.sharding.Sharding) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )


def _network(argv: Sequence[str]) -> str:
    if len(argv) != 1:
        raise UserError("name one network: python -m benchmarks.tpu NETWORK")
    check_choice("network", argv[0], [*models.list_models(), "_tiny"])
    return argv[0]


def _topology(name: str) -> Sequence[Any]:
    """Return the chips of a topology, which libtpu describes without having them."""
    if sys.version_info < (3, 12):
        raise UserError("the newest JAX and libtpu need Python 3.12 or newer")
    if importlib.util.find_spec("libtpu") is None:
        raise UserError("libtpu is not installed: pip install -e '.[tpu]'")
    # libtpu would ask the cloud's machine about itself, and wait for an answer.
    for variable, value in {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": "",
        "TPU_WORKER_HOSTNAMES": "localhost",
    }.items():
        os.environ.setdefault(variable, value)
    jax.config.update("jax_platforms", "cpu")  # where the host's own arrays are
    from jax.experimental import topologies

    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name).devices
    except Exception as error:  # of several types: what libtpu says is in them
        reason = str(error).splitlines()[0]
        raise UserError(f"--topology={name}: {reason}; one is v5e:2x2") from None


def _compile(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise UserError(f"it does not fit; fewer images or more chips? {reason}") from None


# -------------------------------------------------------------------------------------- the report
def read_program(text: str) -> dict[str, Any]:
    """Read what a compiled program does to memory, and what its devices hand to each other.

    Args:
        text: XLA's, as `compiled.as_text()` returns it.

    Returns:
        "parts", "arrays" and "collectives", each a mapping by name with its largest first.
    """
    running = hlo.executed(text)
    made: dict[str, tuple[hlo.Shape, ...]] = {}
    part_of: dict[str, str] = {}
    parts: dict[str, Traffic] = {}
    arrays: collections.Counter[hlo.Shape] = collections.Counter()
    for name, computation, kind, shapes, operands, op_name in hlo.read_operations(text):
        made[name] = _in_large_memory(shapes)
        inherited = (part_of[o] for o in reversed(operands) if part_of.get(o, OUTSIDE) != OUTSIDE)
        part_of[name] = part_of_operation(op_name) or next(inherited, OUTSIDE)
        if computation not in running or kind in (*_FREE, *hlo.CONTAINERS):
            continue
        # What runs beside others reads its operands at its start, and writes until its end.
        written = () if kind.endswith("-start") else made[name]
        reads = () if kind.endswith("-done") else [s for o in operands for s in made.get(o, ())]
        moved = Traffic(
            sum(shape.values for shape in (*written, *reads)),
            sum(shape.padded for shape in (*written, *reads)),
        )
        parts[part_of[name]] = parts.get(part_of[name], Traffic()) + moved
        arrays.update(written)
    return {
        "parts": {
            part: traffic._asdict()
            for part, traffic in sorted(parts.items(), key=lambda item: -item[1].padded)
        },
        "arrays": {
            shape.text: {"count": count, "values": shape.values, "padded": shape.padded}
            for shape, count in sorted(arrays.items(), key=lambda i: -i[0].padded * i[1])
        },
        "collectives": {
            kind: sent._asdict()
            for kind, sent in sorted(hlo.collectives(text).items(), key=lambda i: -i[1].padded)
        },
    }


def _in_large_memory(shapes: Sequence[hlo.Shape]) -> tuple[hlo.Shape, ...]:
    return tuple(shape for shape in shapes if shape.space == 0)


def markdown(report: Mapping[str, Any]) -> str:
    """Return a report as Markdown that reads well as plain text.

    Args:
        report: What `main` writes as JSON.
    """
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    program = "training step" if report["program"] == "train" else "forward pass"
    memory = ", ".join(f"{name} {size / 2**30:.2f}" for name, size in report["memory"].items())
    lines = [
        f"# {report['network']}, {program}, on {report['topology']}\n",
        f"{report['batch']} x {report['size']} x {report['size']} px, {report['dtype']}, split: "
        f"{report['split']}; {report['chip']}; {report['date'][:10]}; {versions}. Compiled, not "
        "run; all figures are of one chip (`python -m benchmarks.tpu`).\n",
        f"Memory, GiB: {memory} (outputs that lie where arguments lay are its alias).\n",
        _roofline(report),
    ]
    total = sum((Traffic(**traffic) for traffic in report["parts"].values()), Traffic())
    parts = [
        (part, *_gigabytes(**traffic), f"{100 * traffic['padded'] / total.padded:.1f}")
        for part, traffic in report["parts"].items()
    ]
    parts.append(("all", *_gigabytes(*total), "100"))
    arrays = [
        (f"`{text}`", str(array["count"]), f"{array['padded'] / 1e6:,.1f}",
         f"{array['padded'] / max(1, array['values']):.1f}",
         f"{array['count'] * array['padded'] / 1e9:.2f}")
        for text, array in [*report["arrays"].items()][:_MOST_ARRAYS]
    ]  # fmt: skip
    sent = [
        (kind, str(of["count"]), f"{of['padded'] / 2**20:.2f}")
        for kind, of in report["collectives"].items()
    ] or [("none", "0", "0")]
    for title, heads, rows in (
        ("Parts", ("part", "GB", "GB without padding", "% of all"), parts),
        ("Arrays written", ("shape", "count", "MB each", "padding x", "GB"), arrays),
        ("Collectives", ("kind", "count", "MiB handed over"), sent),
    ):
        lines.append(f"## {title}\n\n{Sheet('', heads, rows).markdown()}")
    return "\n".join(lines)


def _roofline(report: Mapping[str, Any]) -> str:
    flops, accessed = report["cost"]["flops"], report["cost"]["bytes accessed"]
    counted = f"By XLA's count: {flops / 1e9:,.1f} GFLOP, {accessed / 1e9:,.2f} GB accessed."
    chip = CHIPS.get(report["topology"].partition(":")[0])
    if chip is None:
        return f"{counted} No rates of this chip are known here.\n"
    arithmetic, moving = 1e3 * flops / chip.flops, 1e3 * accessed / chip.bandwidth
    bound = "memory" if moving > arithmetic else "arithmetic"
    return (
        f"{counted} At {chip.flops / 1e12:.0f} TFLOP/s and {chip.bandwidth / 1e9:.0f} GB/s "
        f"({chip.source}): {arithmetic:.2f} ms of arithmetic, {moving:.2f} ms of memory; at least "
        f"{max(arithmetic, moving):.2f} ms, bound by {bound}.\n"
    )


def _gigabytes(values: int, padded: int) -> tuple[str, str]:
    return f"{padded / 1e9:.3f}", f"{values / 1e9:.3f}"


if __name__ == "__main__":
    process.run_script(main)
