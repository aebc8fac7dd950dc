"""Saving a checkpoint with and without digests.

    python -m benchmarks.checkpoint_digests [--mib 240] [--repeats 9] [--folder DIR]

A save is timed from the call to the end of the write, in turns of one with and one without digests,
after a pair that does not count; reported are medians, and that of the ratio in each turn.
"""

import contextlib
import statistics
import tempfile
import time
from unittest import mock

import jax
import jax.numpy as jnp
from absl import flags

from benchmarks import machine
from gcn_jax.cli import process
from gcn_jax.training import checkpoints
from gcn_jax.training.state import TrainState

_MIB = flags.DEFINE_integer("mib", 240, "Size of a state, in MiB.", 4)
_REPEATS = flags.DEFINE_integer("repeats", 9, "How often each is timed.", 1)
_FOLDER = flags.DEFINE_string("folder", None, "A folder of the disk to write to.")


def main(argv):
    """Print a line for each."""
    del argv
    about = machine.describe("jax", "orbax-checkpoint", "numpy")
    print(
        f"{about['device']}, {about['cores']} cores, {about['versions']}, load {about['load']:.1f}"
    )
    state = _state(_MIB.value)
    names = ("without", "with")
    turns = [{name: _seconds(state, name) for name in names} for _ in range(_REPEATS.value + 1)][1:]
    for name in names:
        print(f"{name:8} {statistics.median(turn[name] for turn in turns):.3f} s")
    ratios = [turn["with"] / turn["without"] for turn in turns]
    print(
        f"with / without: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    )


def _state(mib: int) -> TrainState:
    """Draw a state of leaves of 4 MiB, as the kernels of a ResNet-50 have on the whole."""
    keys = jax.random.split(jax.random.key(0), mib // 4)
    leaves = {f"leaf{i}": jax.random.normal(key, (1024, 1024)) for i, key in enumerate(keys)}
    return TrainState(jnp.zeros((), jnp.int32), leaves, {}, opt_state={})


def _seconds(state: TrainState, name: str) -> float:
    """Return how long a save takes, with digests or without."""
    off = mock.patch.object(checkpoints, "digests_of", return_value={})
    with (
        tempfile.TemporaryDirectory(dir=_FOLDER.value) as folder,
        off if name == "without" else contextlib.nullcontext(),
        checkpoints.Checkpoints(folder) as run,
    ):
        start = time.perf_counter()
        run.save(1, state, {})
        run.wait()
        return time.perf_counter() - start


if __name__ == "__main__":
    process.run_script(main)
