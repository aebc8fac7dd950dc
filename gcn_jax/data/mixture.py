"""Several sources trained on as one, and none of them with an image of the validation split."""

import bisect
import itertools
import operator
from collections.abc import Sequence
from typing import Any

from gcn_jax.data.statistics import LabelStatistics
from gcn_jax.errors import UserError


class Mixture:
    """The examples of several sources one after another; an image of two of them counts twice.

    Attributes:
        name: The names of the sources, joined by " + ".
        class_names: The names of labels 0..C-1, the same in all of them.
        palette: uint8 `[256, 3]`, the colours of the first.
    """

    def __init__(self, sources: Sequence[Any]):
        self.name = " + ".join(source.name for source in sources)
        self.class_names = sources[0].class_names
        self.palette = sources[0].palette
        for other in sources[1:]:
            if other.class_names != self.class_names:
                raise UserError(
                    f"{sources[0].name} and {other.name} have different classes; a mixture "
                    "needs the same classes in the same order"
                )
        self._sources = tuple(sources)
        self._ends = tuple(itertools.accumulate(map(len, sources)))

    @property
    def identities(self) -> frozenset[tuple[str, str]]:
        """See `Source.identities`."""
        return frozenset().union(*(source.identities for source in self._sources))

    @property
    def label_statistics(self) -> LabelStatistics:
        """See `Source.label_statistics`; a source that is repeated counts as often."""
        none = LabelStatistics.empty(len(self.class_names))
        return sum((source.label_statistics for source in self._sources), start=none)

    def __len__(self) -> int:
        """The number of examples of all sources."""
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read one example; see `Source`."""
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} examples; there is no number {index}")
        which = bisect.bisect_right(self._ends, index)
        start = self._ends[which - 1] if which else 0
        return self._sources[which][index - start]


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
