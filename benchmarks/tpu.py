"""What TPUs would run, compiled here without one: memory, bytes, FLOPs, layouts, collectives.

    pip install -e '.[tpu]'        # the TPU's compiler, libtpu; Python 3.12 or newer
    python -m benchmarks.tpu NETWORK [--topology v5e:2x4] [--batch 16] [--size 512] [--train]
        [--split data|height] [--dtype bfloat16] [--output NAME] [--text FILE]

A forward pass from uint8 images to logits, or with --train a training step, is compiled for the
chips of a topology in the words that a TPU gets (`models/layers/backend.py`), and not in those of
this machine's CPU. Nothing runs. The batch, of all chips, is split over them; for large images, in
training too, `--split height` gives each chip some of the rows of each.

All figures are of one chip. "By XLA's count" are the compiler's own numbers; its bytes hold those
of the small memory on the chip, too. The tables count the large memory (HBM) alone: each operation
reads and writes its arrays once, as they lie there, filled up to whole tiles, which is too much
where it needs a part of an array. The roofline divides either by what the chip can do at most. A
fused operation carries one name: a neighbour may have paid for a part.
"""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks import machine
from benchmarks.tpu_program import compile_fitting, lower, read_program, topology
from benchmarks.tpu_report import markdown
from gcn_jax import atomic, models
from gcn_jax.cli import process
from gcn_jax.errors import UserError, check_choice

_TOPOLOGY = flags.DEFINE_string("topology", "v5e:2x2", "Kind of chip, and how many lie how.")
_BATCH = flags.DEFINE_integer("batch", 16, "Images in a batch, of all chips.", lower_bound=1)
_SIZE = flags.DEFINE_integer("size", 512, "Pixels of a side.", lower_bound=1)
_DTYPE = flags.DEFINE_enum("dtype", "bfloat16", ["float32", "bfloat16"], "Of the computation.")
_SPLIT = flags.DEFINE_enum("split", "data", ["data", "height"], "What is split over the chips.")
_TRAIN = flags.DEFINE_bool("train", False, "A training step, not a forward pass.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Where to write NAME.json and NAME.md; by default in benchmarks/results/."
)
_TEXT = flags.DEFINE_string("text", None, "File for XLA's text of the compiled program.")

_RESULTS = Path(__file__).parent / "results"


def main(argv):
    """Compile, print the tables, write both files."""
    network = _network(argv)
    devices = topology(_TOPOLOGY.value)
    lowered = lower(
        network,
        (_BATCH.value, _SIZE.value, _SIZE.value),
        _DTYPE.value,
        devices,
        split=_SPLIT.value,
        train=_TRAIN.value,
    )
    compiled = compile_fitting(lowered)
    if _TEXT.value:
        atomic.write(_TEXT.value, compiled.as_text())
    what = "train" if _TRAIN.value else "forward"
    report = machine.describe("jax", "libtpu", "flax", "optax") | {
        "network": network,
        "program": what,
        "topology": _TOPOLOGY.value,
        "chip": devices[0].device_kind,
        "batch": _BATCH.value,
        "size": _SIZE.value,
        "split": _SPLIT.value,
        "dtype": _DTYPE.value,
    }
    memory = compiled.memory_analysis()
    report |= {
        "memory": {
            name: getattr(memory, f"{name}_size_in_bytes")
            for name in ("argument", "output", "alias", "temp")
        }
        | {"peak": memory.peak_memory_in_bytes},
        "cost": {name: compiled.cost_analysis()[name] for name in ("flops", "bytes accessed")},
        **read_program(compiled.as_text()),
    }
    text = markdown(report)
    print(text)
    chips = _TOPOLOGY.value.replace(":", "_")
    today = datetime.date.today().isoformat()
    name = _OUTPUT.value or str(
        _RESULTS / f"tpu_{chips}_{today}_{network}_{what}_{_SPLIT.value}_"
        f"{_BATCH.value}x{_SIZE.value}_{_DTYPE.value}"
    )
    atomic.write(f"{name}.json", json.dumps(report, indent=2) + "\n")
    atomic.write(f"{name}.md", text)
    print(f"written: {name}.json, {name}.md")


def _network(argv: Sequence[str]) -> str:
    if len(argv) != 1:
        raise UserError("name one network: python -m benchmarks.tpu NETWORK")
    check_choice("network", argv[0], [*models.list_models(), "_tiny"])
    return argv[0]


if __name__ == "__main__":
    process.run_script(main)
