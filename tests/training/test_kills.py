"""A run that is killed at random moments ends as the run that never was."""

import collections
import json
import random

import jax
import orbax.checkpoint as ocp
import pytest

from tests.helpers.kills import MOMENTS, Run
from tests.helpers.runs import assert_identical, kept_steps, timeless
from tests.helpers.small_data import parallel_folders

SEED = 20261126


def settings(folder):
    return {
        "data.manual_dir": folder / "images_and_masks",
        "data.data_dir": folder / "prepared",
        "model.name": "gcn_plain4",
        "model.kernel_size": 5,
        "batch_size": 4,
        "augment.crop_size": "(32,32)",
        "augment.scale": "(0.8,1.25)",
        "augment.jitter": 0.2,
        "num_steps": 120,
        "log_every": 5,
        "checkpoint_every": 20,
        "eval_every": 60,
        "eval_batch_size": 1,
        "optimizer.warmup_steps": 0,
        "optimizer.ema_decay": 0.9,
    }


def arrays(workdir, step):
    """Every array of a checkpoint, read by Orbax alone."""
    with ocp.PyTreeCheckpointer() as checkpointer:
        return checkpointer.restore(workdir / "checkpoints" / str(step) / "state")


def position(workdir, step):
    return json.loads((workdir / "checkpoints" / str(step) / "data/metadata").read_text())


def assert_same_end(run, whole):
    """Compare what two runs leave behind, bit by bit, but for what a clock says."""
    last = max(kept_steps(whole.workdir))
    theirs, ours = arrays(whole.workdir, last), arrays(run.workdir, last)
    assert len(jax.tree.leaves(theirs)) > 100
    assert_identical(ours, theirs)
    assert position(run.workdir, last) == position(whole.workdir, last)
    assert kept_steps(run.workdir) == kept_steps(whole.workdir)
    assert timeless(run.workdir) == timeless(whole.workdir)
    names = [
        {path.name for path in one.workdir.iterdir() if "tfevents" not in path.name}
        for one in (run, whole)
    ]
    assert names[0] == names[1]
    assert not [path for path in run.workdir.rglob("*") if "tmp" in path.name]
    assert "Traceback" not in run.output


def kill(count, folder):
    """Kill so many times, over as many whole runs as it takes; return the kills by phase."""
    parallel_folders(folder / "images_and_masks", 24, ("train", "val"))
    whole = Run(folder / "whole", settings(folder))
    assert whole.go_on() is None
    rng, phases, runs = random.Random(SEED), collections.Counter(), 0
    while sum(phases.values()) < count:
        runs += 1
        run = Run(folder / f"killed_{runs}", settings(folder))
        while phase := run.go_on(rng if sum(phases.values()) < count else None):
            phases[phase] += 1
            print(f"kill {sum(phases.values())} of {count}: {phase}, run {runs}", flush=True)
        assert_same_end(run, whole)
    print(f"{runs} whole runs, kills: {dict(phases)}; errors: {run.output.count('error')}")
    return phases


@pytest.mark.slow
def test_fifty_kills_change_nothing(tmp_path):
    phases = kill(50, tmp_path)
    assert set(phases) == set(MOMENTS)
    assert min(phases.values()) >= 3
