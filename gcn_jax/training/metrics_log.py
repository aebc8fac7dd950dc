"""What a run tells: to the terminal, to `metrics.jsonl`, and to TensorBoard."""

import json
import math
from functools import cached_property
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gcn_jax import atomic


class MetricWriter:
    """Writes scalars to `metrics.jsonl` (one JSON object a line) and as TensorBoard events.

    Args:
        workdir: The run's folder.
        first_step: Lines of later steps are dropped: a resumed run makes them again.
    """

    def __init__(self, workdir: str | Path, first_step: int = 0):
        self._path = Path(workdir) / "metrics.jsonl"
        self._first_step = first_step
        lines = [
            json.dumps(line) for line in read_metrics(self._path) if line["step"] <= first_step
        ]
        atomic.write(self._path, "".join(f"{line}\n" for line in lines))

    @cached_property
    def _events(self):
        # Not sooner: it imports PyTorch where that is installed, which would delay the first step.
        import tensorboardX

        return tensorboardX.SummaryWriter(str(self._path.parent), purge_step=self._first_step + 1)

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Add the scalars of a step by their names; NaN, which JSON does not know, is left out."""
        scalars = {name: value for name, value in scalars.items() if not math.isnan(value)}
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **scalars}) + "\n")
        for name, value in scalars.items():
            self._events.add_scalar(name, value, step)
        self._events.flush()

    def close(self) -> None:
        """Close the event file."""
        self._events.close()


def read_metrics(path: str | Path) -> list[dict[str, float]]:
    """Read `metrics.jsonl`; a last line that a kill cut in two is left out, a missing file empty.

    Returns:
        One dict a line, with `step` and some of `train/loss`, `val/miou` and so on.
    """
    path = Path(path)
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


class ProgressBar:
    """A bar with loss, images per second and time left; plain lines where there is no terminal.

    Args:
        first_step: Where the bar begins.
        num_steps: Where it ends.
    """

    def __init__(self, first_step: int, num_steps: int):
        self._console = Console()
        self._progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("", total=num_steps, completed=first_step, status="")

    def __enter__(self) -> "ProgressBar":
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, *exception) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()

    def advance(self, step: int) -> None:
        """Move to a step."""
        self._progress.update(self._task, completed=step)

    def status(self, step: int, text: str) -> None:
        """Show the latest figures of training."""
        self._progress.update(self._task, status=text)
        if not self._console.is_terminal:
            self.say(f"step {step}: {text}")

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)
