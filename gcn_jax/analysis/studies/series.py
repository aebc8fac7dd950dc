"""The runs of a table one after the other, and how long those take that are left."""

from collections.abc import Iterable, Mapping, Sequence

from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.studies.findings import Finding
from gcn_jax.analysis.studies.paper import Cell
from gcn_jax.analysis.studies.runner import TRAIN_MIOU, CellRunner, Job, Result, cost
from gcn_jax.report.facts import duration
from gcn_jax.terminal import say


class Series:
    """Runs jobs, and says after each that was trained how long is left at the most.

    Attributes:
        runner: What trains and scores.
    """

    def __init__(self, runner: CellRunner):
        self.runner = runner
        self._left: dict[Job, int] = {}  # runs to do -> their steps
        self._pace: dict[str, float] = {}  # run name -> seconds of a step
        self._costs: dict[str, Cost] = {}

    def plan(self, jobs: Iterable[Job]) -> None:
        """Say what is to be run at the most; what is finished takes no time.

        Args:
            jobs: The runs.
        """
        self._left = {
            job: self.runner.config(*job).num_steps
            for job in jobs
            if not self.runner.is_finished(job)
        }

    def run(self, job: Job) -> Result:
        """Train and score a cell, or read its scores.

        Args:
            job: The run.
        """
        was_finished = self.runner.is_finished(job)
        result = self.runner.run(job)
        if seconds := result.get("seconds_of_training"):
            self._pace[job.cell.run_name] = seconds / result["steps"]
        self._left.pop(job, None)
        if not was_finished:
            scores = [
                f"{name} {100 * result[key]:.1f}"
                for name, key in (("val", "miou"), ("train", TRAIN_MIOU))
                if result.get(key) is not None
            ]
            about = f"{job.cell.label}, seed {job.seed}, {result['steps']} steps"
            say(f"{about}: mIoU {', '.join(scores)}; {self.left_text()}")
        return result

    def left_text(self) -> str:
        """Return how much is left, as in "at most 12 runs and 3 h 20 min left".

        A network that was not timed yet counts as the slowest of the others.
        """
        if not self._left:
            return "none left"
        runs = f"{len(self._left)} run{'s' * (len(self._left) > 1)}"
        if not self._pace:
            return f"at most {runs} left"
        slowest = max(self._pace.values())
        seconds = sum(
            steps * self._pace.get(job.cell.run_name, slowest) for job, steps in self._left.items()
        )
        return f"at most {runs} and {duration(seconds)} left"

    def findings(
        self,
        cells: Sequence[Cell],
        seeds: int,
        budget: int = 1,
        rates: Mapping[str, float] | None = None,
    ) -> list[Finding]:
        """Run every cell with every seed, one seed after the other, so that an early stop is fair.

        Args:
            cells: The networks.
            seeds: How many seeds, from 0 on.
            budget: How many times the steps of the recipe each run has.
            rates: Run name -> how many times the learning rate of the recipe; None for no tuning.
        """
        results: dict[str, list[Result]] = {cell.name: [] for cell in cells}
        factors = rates or {}
        for seed in range(seeds):
            for cell in cells:
                job = Job(cell, seed, budget, factors.get(cell.run_name, 1.0))
                results[cell.name].append(self.run(job))
        return [
            Finding(
                cell,
                tuple(results[cell.name]),
                self._cost(cell),
                self._rate(cell, rates),
            )
            for cell in cells
        ]

    def _rate(self, cell: Cell, rates: Mapping[str, float] | None) -> float | None:
        if rates is None:
            return None
        config = self.runner.config(cell, 0, rate=rates[cell.run_name])
        return config.optimizer.learning_rate

    def _cost(self, cell: Cell) -> Cost:
        if cell.name not in self._costs:
            self._costs[cell.name] = cost(self.runner.config(cell, 0))
        return self._costs[cell.name]
