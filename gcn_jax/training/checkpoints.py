"""Checkpoints of a run: the newest two and the best, written by Orbax in the background."""

import contextlib
import itertools
import warnings
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import preservation_policy as policies

from gcn_jax.errors import UserError
from gcn_jax.models.pretrained.restore import best_score, first_readable
from gcn_jax.training.state import TrainState
from gcn_jax.workdir import Workdir

_NEWEST = 2


class Checkpoints:
    """The folder `checkpoints/` of a workdir: `<step>/state` and the data's position `<step>/data`.

    A step is written under a temporary name and renamed when it is complete.

    Args:
        workdir: The run's folder.
    """

    def __init__(self, workdir: str | Path):
        self.folder = Workdir(workdir).checkpoints
        self._closed = False
        self._manager = self._open()

    def _open(self) -> ocp.CheckpointManager:
        best = policies.BestN(get_metric_fn=best_score, n=1, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            best_fn=best_score,
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(_NEWEST), best]),
            cleanup_tmp_directories=True,
            create=False,  # the first save does: a run that cannot start leaves nothing behind
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
            data_position: Where the stream of batches stands after that step, as JSON.
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
        self._put_aside([step for step in steps if step > good], "damaged")
        return restored["state"], restored["data"]

    def drop_after(self, step: int) -> Path | None:
        """Put aside the checkpoints after a step, as `diverged-<step>`.

        Returns:
            The folder of the newest that is left, or None.
        """
        self._manager.wait_until_finished()
        self._put_aside([other for other in self._manager.all_steps() if other > step], "diverged")
        return self.folder / str(self.latest_step) if self.latest_step is not None else None

    def __enter__(self) -> "Checkpoints":
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Close; what went wrong in the block is not hidden by what goes wrong here."""
        with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
            self.close()

    def close(self) -> None:
        """Wait for the checkpoint in flight, and give up the background threads."""
        if not self._closed:
            self._closed = True
            self._manager.close()

    def _put_aside(self, steps: list[int], why: str) -> None:
        if not steps:
            return
        self._manager.close()
        if jax.process_index() == 0:
            for step in steps:
                target = _free_name(self.folder.parent / f"{why}-{step}")
                (self.folder / str(step)).rename(target)
                warnings.warn(f"{self.folder / str(step)} is now {target}", stacklevel=3)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("checkpoints put aside")
        self._manager = self._open()


def _free_name(path: Path) -> Path:
    """The path itself, or with the first number behind it that is not taken."""
    names = itertools.chain([path.name], (f"{path.name}.{n}" for n in itertools.count(2)))
    return next(path.with_name(name) for name in names if not path.with_name(name).exists())
