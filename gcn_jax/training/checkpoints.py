"""Checkpoints of a run: the newest two and the best, written by Orbax in the background."""

import warnings
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy as policies

from gcn_jax.errors import UserError
from gcn_jax.models.pretrained import BEST_METRIC, first_readable
from gcn_jax.training.state import TrainState

_NEWEST = 2


def _score(metrics: dict[str, float]) -> float:
    return metrics[BEST_METRIC]


class Checkpoints:
    """The folder `checkpoints/` of a workdir: `<step>/state` and the data's position `<step>/data`.

    A step is written under a temporary name and renamed when it is complete.

    Args:
        workdir: The run's folder.
    """

    def __init__(self, workdir: str | Path):
        self.folder = (Path(workdir) / "checkpoints").resolve()
        self._manager = self._open()

    def _open(self) -> ocp.CheckpointManager:
        best = policies.BestN(get_metric_fn=_score, n=1, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            best_fn=_score,
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(_NEWEST), best]),
            cleanup_tmp_directories=True,
        )
        return ocp.CheckpointManager(self.folder, options=options)

    @property
    def latest_step(self) -> int | None:
        """The newest step on disk, or None."""
        return self._manager.latest_step()

    def save(
        self,
        step: int,
        state: TrainState,
        data_position: dict[str, Any],
        metrics: dict[str, float] | None = None,
    ) -> None:
        """Save a step in the background, unless it is there.

        Args:
            step: Its number.
            state: The state after that step.
            data_position: What `get_state()` of the batches' iterator returned after that step.
            metrics: Its validation scores, where it was validated.
        """
        if step == self.latest_step:
            return
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(state), data=ocp.args.JsonSave(data_position)
        )
        self._manager.save(step, args=args, metrics=metrics)

    def restore(self, state: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """Restore the newest checkpoint that can be read.

        A damaged one gives a warning and is put aside as `damaged-<step>`, since its step will be
        saved again.

        Args:
            state: A state like the one to restore; gives shapes, dtypes and shardings.

        Returns:
            The state and the data's position, or None where there is nothing to restore.

        Raises:
            UserError: There are checkpoints, and none of them can be read.
        """
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        args = ocp.args.Composite(
            state=ocp.args.StandardRestore(target), data=ocp.args.JsonRestore()
        )
        steps = sorted(self._manager.all_steps(), reverse=True)
        found = first_readable(
            steps, lambda step: self._manager.restore(step, args=args), str(self.folder)
        )
        if found is None:
            if steps:
                raise UserError(
                    f"{self.folder}: no checkpoint can be read; restore one from a backup, or "
                    "start anew with another --workdir"
                )
            return None
        good, restored = found
        self._put_aside([step for step in steps if step > good])
        return restored["state"], restored["data"]

    def wait(self) -> None:
        """Wait until what was saved is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Wait, and give up the background threads."""
        self._manager.close()

    def _put_aside(self, steps: list[int]) -> None:
        if not steps:
            return
        self._manager.close()
        for step in steps:
            target = self.folder.parent / f"damaged-{step}"
            warnings.warn(f"{self.folder / str(step)} is now {target}", stacklevel=3)
            (self.folder / str(step)).rename(target)
        self._manager = self._open()
