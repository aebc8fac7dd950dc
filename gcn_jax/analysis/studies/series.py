"""The runs of a study one after the other, and how long those take that are left."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.studies.findings import Finding
from gcn_jax.analysis.studies.runner import TRAIN_MIOU, Contestant, Job, Result, Runner, cost
from gcn_jax.report.facts import duration
from gcn_jax.terminal import say
from gcn_jax.workdir import InUseError

T = TypeVar("T")

#: Seconds between two looks at runs that other processes train.
_WAIT = 5.0


class Series:
    """Runs jobs, and says after each that was trained how long is left at the most.

    Several processes share the runs of one folder: each takes what no other one trains.

    Attributes:
        runner: What trains and scores.
    """

    def __init__(self, runner: Runner):
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
        """Train and score a network, or read its scores.

        Args:
            job: The run.
        """
        was_finished = self.runner.is_finished(job)
        result = self.runner.run(job)
        if seconds := result.get("seconds_of_training"):
            self._pace[job.contestant.run_name] = seconds / result["steps"]
        self._left = {
            other: steps
            for other, steps in self._left.items()
            if other != job and not self.runner.is_finished(other)
        }
        if not was_finished:
            scores = [
                f"{name} {100 * result[key]:.1f}"
                for name, key in (("val", "miou"), ("train", TRAIN_MIOU))
                if result.get(key) is not None
            ]
            about = f"{job.contestant.label}, seed {job.seed}, {result['steps']} steps"
            say(f"{about}: mIoU {', '.join(scores)}; {self.left_text()}")
        return result

    def run_all(self, jobs: Iterable[Job], run: Callable[[Job], T]) -> dict[Job, T]:
        """Run jobs; those that another process trains, or waits for, come when it has ended.

        Args:
            jobs: The runs.
            run: What runs one, such as `run`.
        """
        done: dict[Job, T] = {}
        left, has_said = list(jobs), False
        while True:
            for job in left:
                with contextlib.suppress(InUseError):
                    if self.runner.is_ready(job):
                        done[job] = run(job)
            before, left = left, [job for job in left if job not in done]
            if not left:
                return done
            if left == before:
                if not has_said:
                    say(f"waiting for {self.runner.workdir(left[0])}, which another process writes")
                has_said = True
                time.sleep(_WAIT)

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
            steps * self._pace.get(job.contestant.run_name, slowest)
            for job, steps in self._left.items()
        )
        return f"at most {runs} and {duration(seconds)} left"

    def findings(
        self,
        contestants: Sequence[Contestant],
        seeds: int,
        budget: int = 1,
        rates: Mapping[str, float] | None = None,
    ) -> list[Finding]:
        """Run every network with every seed, seed after seed, so that an early stop is fair.

        Args:
            contestants: The networks.
            seeds: How many seeds, from 0 on.
            budget: How many times the steps of the recipe each run has.
            rates: Run name -> how many times the learning rate of the recipe; None for no tuning.
        """
        factors = rates or {}
        jobs = [
            Job(one, seed, budget, factors.get(one.run_name, 1.0))
            for seed in range(seeds)
            for one in contestants
        ]
        results = self.run_all(jobs, self.run)
        return [
            Finding(
                one,
                tuple(results[job] for job in jobs if job.contestant == one),
                self._cost(one),
                self._rate(one, rates),
            )
            for one in contestants
        ]

    def _rate(self, one: Contestant, rates: Mapping[str, float] | None) -> float | None:
        if rates is None:
            return None
        config = self.runner.config(one, 0, rate=rates[one.run_name])
        return config.optimizer.learning_rate

    def _cost(self, one: Contestant) -> Cost:
        if one.name not in self._costs:
            self._costs[one.name] = cost(self.runner.config(one, 0))
        return self._costs[one.name]
