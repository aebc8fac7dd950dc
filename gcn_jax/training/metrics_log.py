"""The metrics of a run: written to `metrics.jsonl` and to TensorBoard."""

import json
import math
from functools import cached_property
from pathlib import Path

from gcn_jax import atomic
from gcn_jax.workdir import Workdir


class MetricWriter:
    """Writes scalars to `metrics.jsonl` (one JSON object a line) and as TensorBoard events.

    Args:
        workdir: The run's folder.
        first_step: Lines of later steps are dropped: a resumed run makes them again.
    """

    def __init__(self, workdir: str | Path, first_step: int = 0):
        folder = Workdir(workdir)
        self._path = folder.metrics_file
        self._first_step = first_step
        lines = [json.dumps(line) for line in folder.read_metrics() if line["step"] <= first_step]
        atomic.write(self._path, "".join(f"{line}\n" for line in lines))

    @cached_property
    def _events(self):
        # Not sooner: it imports PyTorch where that is installed, which would delay the first step.
        import tensorboardX

        return tensorboardX.SummaryWriter(str(self._path.parent), purge_step=self._first_step + 1)

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Add the scalars of a step; NaN, which JSON does not know, is left out.

        Args:
            step: Its number.
            scalars: Values by their names, such as `train/loss`.
        """
        scalars = {name: value for name, value in scalars.items() if not math.isnan(value)}
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **scalars}) + "\n")
        for name, value in scalars.items():
            self._events.add_scalar(name, value, step)
        self._events.flush()

    def close(self) -> None:
        """Close the event file."""
        self._events.close()
