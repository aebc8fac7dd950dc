"""The check of a run's checkpoints, array by array."""

import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gcn_jax.errors import UserError
from gcn_jax.models.pretrained.digests import digest_of_json, digests_of, read_digests
from gcn_jax.models.pretrained.event_loop import tasks_end
from gcn_jax.models.pretrained.file_digests import check_file_digests
from gcn_jax.models.pretrained.restore import folder_of_checkpoints, open_checkpoints
from gcn_jax.models.pretrained.steps import read_scores, why


def verify(workdir: str | Path) -> dict[int, str | None]:
    """Read every checkpoint of a run whole, and compare it with its digests.

    Args:
        workdir: A folder that `train.py` wrote.

    Returns:
        The steps from the oldest on: None where the checkpoint is whole, else what is wrong.

    Raises:
        UserError: The workdir has no checkpoint.
    """
    folder = folder_of_checkpoints(workdir)
    with open_checkpoints(folder) as manager:
        steps = sorted(manager.all_steps())
        if not steps:
            raise UserError(f"{workdir} has no checkpoint yet")
        with tasks_end():
            return {step: _problem(manager, folder, step) for step in steps}


def _problem(manager: Any, folder: Path, step: int) -> str | None:
    """Return what is wrong with a checkpoint, or None."""
    import orbax.checkpoint as ocp

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            read_scores(folder, step)
        written = read_digests(folder, step)
        if written is None:
            return "it has no digests, as those of older versions"
        as_numpy = jax.tree.map(
            lambda leaf: ocp.RestoreArgs(restore_type=np.ndarray),
            manager.item_metadata(step)["state"].tree,
        )
        args = ocp.args.Composite(
            state=ocp.args.PyTreeRestore(restore_args=as_numpy), data=ocp.args.JsonRestore()
        )
        restored = manager.restore(step, args=args)
        found = digests_of(restored["state"], written)
        found["data"] = digest_of_json(restored["data"])
        differing = sorted(
            path for path in found.keys() | written.keys() if found.get(path) != written.get(path)
        )
        if differing:
            return f"not what was written: {', '.join(differing[:3])}"
        check_file_digests(folder / str(step))
    except Exception as error:  # what a damaged file makes Orbax raise is not documented
        return why(error)
    return None
