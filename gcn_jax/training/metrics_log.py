"""The metrics of a run: written to `metrics.jsonl`, and from there to its trackers."""

import contextlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gcn_jax import atomic
from gcn_jax.errors import UserError
from gcn_jax.training.trackers import TENSORBOARD, senders
from gcn_jax.workdir import Workdir

#: The classes that the validation mIoU is over, in `metrics.jsonl`.
COUNTED_METRIC = "val/num_classes_counted"
#: The mIoU of `config.eval_train_images` training images, beside the validation's.
TRAIN_METRIC = "train/miou"
#: The share of the time in which the devices waited for training data, 0..1.
WAIT_METRIC = "train/data_wait"


class MetricWriter:
    """Writes scalars to `metrics.jsonl` (one JSON object a line) and to the run's trackers.

    Args:
        workdir: The run's folder.
        first_step: Lines of later steps are dropped: a resumed run makes them again.
        trackers: As `config.trackers` has them; "tensorboard" stands for events in the workdir.
        settings: The settings of the run by dotted name, for trackers.
    """

    def __init__(
        self,
        workdir: str | Path,
        first_step: int = 0,
        trackers: Sequence[str] = (TENSORBOARD,),
        settings: Mapping[str, Any] = MappingProxyType({}),
    ):
        folder = Workdir(workdir)
        self._path = folder.metrics_file
        self._first_step = first_step
        lines = [json.dumps(line) for line in folder.read_metrics() if line["step"] <= first_step]
        atomic.write(self._path, "".join(f"{line}\n" for line in lines))
        self._has_events = TENSORBOARD in trackers
        self._senders = senders(trackers, workdir, settings)

    @cached_property
    def _events(self) -> Any:
        # Not sooner: it imports PyTorch where that is installed, which would delay the first step.
        import tensorboardX

        return tensorboardX.SummaryWriter(str(self._path.parent), purge_step=self._first_step + 1)

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Add the scalars of a step; NaN, which JSON does not know, is left out.

        Args:
            step: Its number.
            scalars: Values by their names, such as `train/loss`.

        Raises:
            UserError: The file cannot be written.
        """
        scalars = {name: value for name, value in scalars.items() if not math.isnan(value)}
        try:
            with self._path.open("a") as file:
                file.write(json.dumps({"step": step, **scalars}) + "\n")
            if self._has_events:
                for name, value in scalars.items():
                    self._events.add_scalar(name, value, step)
                self._events.flush()
        except OSError as error:
            what = f"{self._path}, or the events beside it, cannot be written: {error.strerror}"
            raise UserError(what) from error
        for sender in self._senders:
            sender.log(step, scalars)

    def __enter__(self) -> "MetricWriter":
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the event file, and what else is open."""
        self.close()

    def close(self) -> None:
        """Close the event file, and let trackers take what they were sent, for a time."""
        for sender in self._senders:
            sender.close()
        if "_events" in self.__dict__:  # else nothing was written
            with contextlib.suppress(OSError):  # every write has flushed it, or has failed
                self._events.close()


class Timer:
    """Counts steps and seconds from a step on, and for how long the devices had nothing to do.

    Args:
        step: The step.
    """

    def __init__(self, step: int = 0):
        self._step = step
        self._start = time.monotonic()
        self._waits: list[float] = []

    def add_wait(self, seconds: float) -> None:
        """Count a step, one of several, before which the devices waited for its batch."""
        self._waits.append(seconds)

    def share_waited(self, step: int) -> float | None:
        """Return in what share of the time the devices waited for data, up to a step.

        None: no step was looked at.
        """
        if not self._waits:
            return None
        return min(1.0, sum(self._waits) / len(self._waits) * self.steps_per_second(step))

    @property
    def seconds(self) -> float:
        """The seconds since then."""
        return time.monotonic() - self._start

    def steps_per_second(self, step: int) -> float:
        """Return how many steps a second were made up to a step."""
        return (step - self._step) / self.seconds
