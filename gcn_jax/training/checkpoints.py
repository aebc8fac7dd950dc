"""Checkpoints of a run: the newest two and the best, written by Orbax in the background."""

import contextlib
import itertools
import shutil
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import preservation_policy as policies

from gcn_jax.errors import UserError
from gcn_jax.models.pretrained.digests import (
    DIGESTS,
    check_digests,
    digest_of_json,
    digests_of,
    read_digests,
    warn_without_digests,
)
from gcn_jax.models.pretrained.event_loop import tasks_end
from gcn_jax.models.pretrained.file_digests import check_file_digests, write_file_digests
from gcn_jax.models.pretrained.steps import (
    best_step,
    first_readable,
    read_scores,
    why,
    write_scores,
)
from gcn_jax.training.state import TrainState
from gcn_jax.workdir import Workdir

_NEWEST = 2
#: Folders of steps that Orbax has not finished, or could not.
_UNFINISHED = "*.orbax-checkpoint-tmp*"
#: Seconds between two looks at whether a step is complete.
_MOMENT = 0.05


class Checkpoints:
    """The folder `checkpoints/` of a workdir.

    A step is the state `<step>/state`, the data's position `<step>/data` and the digests of both,
    written under a temporary name and renamed when it is complete; its scores come later.

    Args:
        workdir: The run's folder.

    Attributes:
        folder: The folder.
        scores: The validation scores of each step that is there, None where it was not validated.
    """

    def __init__(self, workdir: str | Path):
        self._workdir = Workdir(workdir)
        self.folder = self._workdir.checkpoints
        self._closed = False
        self._loops = contextlib.ExitStack()
        self._loops.enter_context(tasks_end())  # of the threads that write, too
        self._manager = self._open()
        self._in_flight: int | None = None
        self._closing = threading.Event()
        self._hashing: threading.Thread | None = None
        self.scores = {step: read_scores(self.folder, step) for step in self._manager.all_steps()}

    def _open(self) -> ocp.CheckpointManager:
        self._remove_unfinished()  # of a process that was killed
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.PreserveAll(),  # `_tidy` decides
            lightweight_initialize=True,  # else the damaged scores of one step end it
            create=False,  # the first save does: a run that cannot start leaves nothing behind
        )
        return ocp.CheckpointManager(self.folder, options=options)

    @property
    def latest_step(self) -> int | None:
        """The newest step, on disk or on its way there, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: TrainState, data_position: dict[str, Any]) -> None:
        """Save a step in the background, unless it is there.

        Args:
            step: Its number.
            state: The state after that step.
            data_position: Where the stream of batches stands after that step, as JSON.

        Raises:
            UserError: This step, or the one before it, cannot be written.
        """
        if step == self.latest_step:
            return
        self.wait()
        self._end_hashing()
        digests = {}
        if jax.process_index() == 0:  # which writes them
            digests = {**digests_of(state), "data": digest_of_json(data_position)}
        items = {
            "state": ocp.args.StandardSave(state),
            "data": ocp.args.JsonSave(data_position),
            DIGESTS: ocp.args.JsonSave(digests),
        }
        self._in_flight = step
        with self._writing():
            self._manager.save(step, args=ocp.args.Composite(**items))
        self.scores[step] = None
        if jax.process_index() == 0:
            self._hashing = threading.Thread(target=self._hash_files, args=(step,), daemon=True)
            self._hashing.start()

    def _hash_files(self, step: int) -> None:
        """Write the digests of a step's files as soon as it is complete, beside the next steps."""
        folder = self.folder / str(step)
        while not folder.exists():
            if self._closing.wait(_MOMENT) and not folder.exists():
                return
        with contextlib.suppress(OSError, UserError):  # it was deleted, or there is no room
            write_file_digests(folder)

    def _end_hashing(self) -> None:
        """Wait for these digests; give them up where the step did not become complete."""
        if self._hashing is not None:
            self._closing.set()
            self._hashing.join()
            self._closing.clear()
            self._hashing = None

    def add_scores(self, step: int, scores: dict[str, float]) -> None:
        """Write the validation scores of a step that was saved.

        Args:
            step: Its number.
            scores: The scores by their names.

        Raises:
            UserError: The step cannot be written.
        """
        self.scores[step] = scores
        self.wait()
        if jax.process_index() == 0:
            write_scores(self.folder, step, scores)
        self._tidy()

    def wait(self) -> None:
        """Wait for the step that is being written, and delete what is not kept.

        Raises:
            UserError: It cannot be written.
        """
        with self._writing():
            self._manager.wait_until_finished()
            self._tidy()
        self._in_flight = None

    def _tidy(self) -> None:
        """Delete all steps but the newest and the best."""
        steps = sorted(self._manager.all_steps())
        keep = {*steps[-_NEWEST:], best_step({step: self.scores.get(step) for step in steps})}
        for step in steps:
            if step not in keep:
                self._manager.delete(step)
                self.scores.pop(step, None)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Name the step, the reason and what is left where a write fails."""
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:  # of Orbax and what is below it
            raise UserError(
                f"the checkpoint of step {self._in_flight} cannot be written to {self.folder}: "
                f"{why(error)}; {self.last_saved()}"
            ) from error

    def last_saved(self) -> str:
        """Say from which step the run can go on, once what is being written is there or failed."""
        with contextlib.suppress(Exception):  # whoever wrote it has said so
            self._manager.wait_until_finished()
        step = self._workdir.newest_step()
        if step is None:
            return "nothing is saved yet"
        return f"step {step} is saved, from which the same command goes on"

    def restore(self, state: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """Restore the newest checkpoint that can be read and is what was written.

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

        def restore(step: int) -> Any:
            restored = self._manager.restore(step, args=args)
            written = read_digests(self.folder, step)
            if written is not None and written["data"] != digest_of_json(restored["data"]):
                raise ValueError("the position of the data is not what was written")
            check_digests(restored["state"], written)
            check_file_digests(self.folder / str(step))
            return restored

        steps = sorted(self._manager.all_steps(), reverse=True)
        found = first_readable(steps, restore, str(self.folder))
        if found is None:
            if steps:
                raise UserError(
                    f"{self.folder}: no checkpoint can be read; restore one from a backup, or "
                    "start anew with another --workdir"
                )
            return None
        good, restored = found
        if read_digests(self.folder, good) is None:
            warn_without_digests(f"{self.folder}/{good}")
        self._put_aside([step for step in steps if step > good], "damaged")
        return restored["state"], restored["data"]

    def drop_after(self, step: int) -> Path | None:
        """Put aside the checkpoints after a step, as `diverged-<step>`.

        Returns:
            The folder of the newest that is left, or None.
        """
        self.wait()
        self._end_hashing()
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
            try:
                self.wait()
            finally:
                self._end_hashing()
                try:
                    with self._loops, self._writing():
                        self._manager.close()
                finally:
                    self._remove_unfinished()

    def _remove_unfinished(self) -> None:
        """Remove what is left of steps that were not written to their end."""
        if jax.process_index() == 0:
            for left in self.folder.glob(_UNFINISHED):
                shutil.rmtree(left, ignore_errors=True)

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
        self.scores = {step: self.scores.get(step) for step in self._manager.all_steps()}


def _free_name(path: Path) -> Path:
    """The path itself, or with the first number behind it that is not taken."""
    names = itertools.chain([path.name], (f"{path.name}.{n}" for n in itertools.count(2)))
    return next(path.with_name(name) for name in names if not path.with_name(name).exists())
