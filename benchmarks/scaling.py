"""What the paper's three stages would take on a pod, computed from a program compiled for a chip.

    python -m benchmarks.scaling benchmarks/results/tpu_..._train_....json [--chips 8,64,256]

The file is one of `python -m benchmarks.tpu NETWORK --train`: memory, FLOPs, bytes and collectives
of one chip of a data-parallel step, which are the same however many chips there are. The rest is
arithmetic with published rates; nothing was run. A step takes the longer of arithmetic and memory
at their peaks, then what chips hand over, of which nothing is hidden behind the computation.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.tpu_report import CHIPS, Chip
from gcn_jax.analysis.sheets import Sheet
from gcn_jax.cli import process
from gcn_jax.errors import UserError

_CHIPS = flags.DEFINE_list("chips", ["8", "64", "256"], "Numbers of chips.")

#: Images that the recipes see: passes x images (configs/stage1.py to stage3.py).
STAGES = (3 * 109_892, 20 * 10_582, 50 * 1_464)
#: Images a second that one core decodes and augments here: "gcn_jax" of
#: benchmarks/results/input_pipeline_cpu_2026-11-22.json.
DECODED_PER_CORE = 91.0
#: Seconds that a message takes from a chip to its neighbour, whatever its size: an assumption.
HOP_SECONDS = 1e-6


class Plan(NamedTuple):
    """A training step on some chips, and what follows from it.

    Attributes:
        chips: How many.
        batch: Images a step, of all chips.
        compute: Seconds of a step without what is handed over.
        handed_over: Seconds of the all-reduces: gradients, batch-norm's statistics, the loss.
        decoded: Images a second that each host has to decode.
        hours: Of each stage.
        steps: Of each stage.
    """

    chips: int
    batch: int
    compute: float
    handed_over: float
    decoded: float
    hours: tuple[float, ...]
    steps: tuple[int, ...]

    @property
    def images_per_second(self) -> float:
        """Images a second of all chips."""
        return self.batch / (self.compute + self.handed_over)


def plan(report: Mapping[str, Any], chip: Chip, chips: int) -> Plan:
    """Compute what a compiled step would take on a number of chips.

    An all-reduce of B bytes over n chips makes each send 2 (n - 1) / n B: once around to add up,
    once around to hand out. A chip sends with half of its interconnect's bandwidth, which is
    published for both directions together. Each all-reduce also takes its way there and back across
    a square of chips, a hop at a time.

    Args:
        report: The JSON of `benchmarks.tpu --train`, split by data.
        chip: The rates of its chip.
        chips: How many chips.
    """
    compiled_for = math.prod(map(int, report["topology"].partition(":")[2].split("x")))
    batch = report["batch"] // compiled_for * chips
    memory = report["cost"]["bytes accessed"] / chip.bandwidth
    compute = max(report["cost"]["flops"] / chip.flops, memory)
    sent = report["collectives"].get("all-reduce", {"count": 0, "padded": 0})
    around = 2 * (chips - 1) / chips * sent["padded"] / (chip.interconnect / 2)
    handed_over = around + sent["count"] * 2 * math.sqrt(chips) * HOP_SECONDS
    step = compute + handed_over
    hosts = max(1, chips // chip.chips_per_host)
    steps = tuple(math.ceil(images / batch) for images in STAGES)
    return Plan(
        chips,
        batch,
        compute,
        handed_over,
        batch / step / hosts,
        tuple(count * step / 3600 for count in steps),
        steps,
    )


def markdown(report: Mapping[str, Any], numbers: list[int]) -> str:
    """Return the plans of several numbers of chips as a Markdown table.

    Args:
        report: See `plan`.
        numbers: The numbers of chips.

    Raises:
        UserError: The rates of its chip are unknown, or the report is of another program.
    """
    kind = report["topology"].partition(":")[0]
    if kind not in CHIPS or (report["program"], report["split"]) != ("train", "data"):
        raise UserError(
            "scaling needs the JSON of a training step split by data, compiled for one of "
            f"{', '.join(CHIPS)}; this is a {report['program']} program split by "
            f"{report['split']} for {report['topology']}"
        )
    chip = CHIPS[kind]
    state, peak = report["memory"]["alias"], report["memory"]["peak"]
    rows = []
    for made in (plan(report, chip, number) for number in numbers):
        rows.append(
            (
                str(made.chips),
                f"{made.batch:,}",
                f"{1e3 * made.compute:.1f} + {1e3 * made.handed_over:.2f}",
                f"{made.images_per_second:,.0f}",
                f"{made.decoded:,.0f} ({math.ceil(made.decoded / DECODED_PER_CORE)} cores)",
                " / ".join(f"{hours:.2f}" for hours in made.hours),
                " / ".join(f"{steps:,}" for steps in made.steps),
            )
        )
    heads = (
        "chips", "batch", "step, ms: compute + handed over", "images/s",
        "a host decodes, images/s", "hours of stage 1 / 2 / 3", "steps",
    )  # fmt: skip
    return (
        f"{report['network']}, {report['size']} x {report['size']} px, {report['dtype']}, "
        f"{report['batch']} images on {report['topology']}: {peak / 2**30:.2f} GiB a chip at the "
        f"most; state, which a checkpoint holds: {state / 2**20:,.0f} MiB.\n\n"
        f"{Sheet('', heads, rows).markdown()}"
    )


def main(argv):
    """Print the table of the file that is named."""
    if len(argv) != 1:
        raise UserError("name one file: python -m benchmarks.scaling FILE.json")
    try:
        report = json.loads(Path(argv[0]).read_text())
        numbers = [int(number) for number in _CHIPS.value]
    except (OSError, ValueError) as error:
        raise UserError(f"{argv[0]}, --chips={','.join(_CHIPS.value)}: {error}") from None
    print(markdown(report, numbers))


if __name__ == "__main__":
    process.run_script(main)
