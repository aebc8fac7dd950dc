"""Several sources trained on as one, and none of them with an image of the validation split."""

import bisect
import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gcn_jax.data.statistics import LabelStatistics
from gcn_jax.errors import UserError


class Mixture:
    """The examples of several sources, pass after pass; an image of two of them counts twice.

    In one pass, a source of n images has `round(weight * n)` places. They go through its images
    again and again, on from where the pass before ended: with the weight 3 every pass shows each
    image three times; with 1/2 a pass shows one half of them, and the next pass the other. The
    halves are random samples, not the beginning and the end of the source.

    Attributes:
        name: The names of the sources, joined by " + ".
        class_names: The names of labels 0..C-1, the same in all of them.
        palette: uint8 `[256, 3]`, the colours of the first.
    """

    def __init__(self, sources: Sequence[Any], weights: Sequence[float]):
        """Mix sources, each with its weight above 0.

        Raises:
            UserError: Their classes differ, or a weight leaves no image.
        """
        self.name = " + ".join(map(_weighted_name, sources, weights))
        self.class_names = sources[0].class_names
        self.palette = sources[0].palette
        for other in sources[1:]:
            if other.class_names != self.class_names:
                raise UserError(
                    f"{sources[0].name} and {other.name} have different classes; a mixture "
                    "needs the same classes in the same order"
                )
        self._sources = tuple(sources)
        self._counts = [round(len(s) * w) for s, w in zip(sources, weights, strict=True)]
        for source, count, weight in zip(sources, self._counts, weights, strict=True):
            if not count:
                raise UserError(
                    f"{source.name}: the weight {weight} leaves none of its {len(source)} images "
                    "in a pass; choose a larger one"
                )
        self._ends = tuple(itertools.accumulate(self._counts))
        self._orders = tuple(map(_order, sources, self._counts))

    @property
    def identities(self) -> frozenset[tuple[str, str]]:
        """See `Source.identities`."""
        return frozenset().union(*(source.identities for source in self._sources))

    @property
    def sampled_sizes(self) -> list[tuple[int, int]]:
        """See `Source.sampled_sizes`."""
        return [size for source in self._sources for size in source.sampled_sizes]

    @property
    def sizes(self) -> dict[tuple[str, str], tuple[int, int]]:
        """The (height, width) of every image by its source and its id."""
        return {
            (source.name, key): size
            for source in self._sources
            for key, size in source.sizes.items()
        }

    @property
    def label_statistics(self) -> LabelStatistics:
        """See `Source.label_statistics`; a source counts as often as a pass shows it."""
        total = LabelStatistics.empty(len(self.class_names))
        for source, count in zip(self._sources, self._counts, strict=True):
            total += source.label_statistics.times(count / len(source))
        return total

    def __len__(self) -> int:
        """The number of examples in one pass."""
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read one example of the first pass; see `Source`."""
        return self.in_pass(0, index)

    def in_pass(self, passes: int, index: int) -> dict[str, Any]:
        """Read an example of a pass.

        Args:
            passes: How many passes come before.
            index: The number of the example in its pass, from 0.

        Returns:
            The example, as the sources have it.
        """
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} examples; there is no number {index}")
        which = bisect.bisect_right(self._ends, index)
        place = index - self._ends[which] + (passes + 1) * self._counts[which]
        order = self._orders[which]
        return self._sources[which][order[place % len(order)]]


def _weighted_name(source: Any, weight: float) -> str:
    return source.name if weight == 1 else f"{source.name}*{weight:g}"


def _order(source: Any, count: int) -> Sequence[int] | np.ndarray:
    """The order in which the passes go through a source: its own, if they end where it does."""
    size = len(source)
    return np.random.default_rng(0).permutation(size) if count % size else range(size)


def refuse_leak(train: Any, val: Any) -> None:
    """Refuse to train on images of the validation split.

    Args:
        train: What is trained on; `identities` says which images it holds.
        val: What is validated on.

    Raises:
        UserError: They share an image.
    """
    shared = sorted(key for _, key in train.identities & val.identities)
    if shared:
        raise UserError(
            f"{train.name} holds {len(shared)} of the {len(val)} images of {val.name} "
            f"({', '.join(shared[:3])}{', ...' if len(shared) > 3 else ''}), which training must "
            "not see; choose another split for data.train or data.val"
        )
