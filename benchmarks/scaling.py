"""A run on a pod of TPUs, on paper: memory, time of a step, all-reduces, input, hours, checkpoints.

    python -m benchmarks.scaling REPORT.json [--slices v5e:2x4,v5e:16x16,v5p:4x4x4]

REPORT.json is what `benchmarks.tpu NETWORK --train` wrote: one chip's part of a step, as compiled.
Each chip of a slice is to have as many images as there, so that its part of a step stays as it is
and the batch grows with the chips. Nothing runs; docs/scaling.md has the formulas and assumptions.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from absl import flags

from benchmarks.contestants import our_functions
from benchmarks.scaling_report import markdown
from benchmarks.scaling_rules import State, read_slice
from gcn_jax.cli import process
from gcn_jax.errors import UserError

_SLICES = flags.DEFINE_list(
    "slices",
    "v5e:2x4,v5e:8x8,v5e:16x16,v5p:2x2x2,v5p:4x4x4,v5p:4x8x8",
    "Kinds of chips, and how many lie how.",
)

_INPUT = Path(__file__).parent / "results" / "input_pipeline_cpu_2026-11-22.json"


def main(argv):
    """Print the table."""
    if len(argv) != 1:
        raise UserError("name one file: python -m benchmarks.scaling REPORT.json")
    report = read_report(argv[0])
    slices = [read_slice(name) for name in _SLICES.value]
    decoded = json.loads(_INPUT.read_text())["results"]["gcn_jax"]["images_per_second_per_core"]
    print(markdown(report, count_state(report["network"]), slices, decoded))


def read_report(path: str) -> dict[str, Any]:
    """Read the report about a compiled training step.

    Args:
        path: A file of `benchmarks.tpu`.

    Raises:
        UserError: It cannot be read, or is about something else.
    """
    try:
        report = json.loads(Path(path).read_text())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{path} is no JSON; give a file that benchmarks.tpu wrote") from None
    if not isinstance(report, Mapping) or report.get("program") != "train":
        raise UserError(f"{path} is not about a training step: benchmarks.tpu NETWORK --train")
    if report.get("split") != "data":  # a chip has no whole image
        raise UserError(f"{path} is about images split by rows; compile it with --split=data")
    return dict(report)


def count_state(network: str) -> State:
    """Count the bytes of a network's training state, without making it.

    Args:
        network: A name of `models.create_model`.
    """
    state = jax.eval_shape(our_functions(network, "bfloat16").create, jax.random.key(0))
    return State(
        parameters=_size(state.params),
        statistics=_size(state.batch_stats),
        norms=len(jax.tree.leaves(state.batch_stats)) // 2,  # a mean and a variance each
        all=_size(state),
    )


def _size(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


if __name__ == "__main__":
    process.run_script(main)
