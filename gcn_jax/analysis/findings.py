"""What was found of the networks of a table."""

import dataclasses
import statistics

from gcn_jax.analysis.complexity import Cost
from gcn_jax.analysis.runner import Result
from gcn_jax.analysis.studies import Cell


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was found of one network of a table.

    Attributes:
        cell: The network.
        results: Of each seed.
        cost: Of the whole network.
    """

    cell: Cell
    results: tuple[Result, ...]
    cost: Cost

    def values(self, metric: str) -> list[float]:
        """Return a metric of each seed, in percent."""
        return [100 * result[metric] for result in self.results]

    def mean_and_spread(self, metric: str) -> tuple[float, float]:
        """Return the mean over the seeds in percent, and their standard deviation (0 for one)."""
        values = self.values(metric)
        return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
