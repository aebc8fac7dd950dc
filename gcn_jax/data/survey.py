"""A survey of a data set: every file looked at once, before anything is made of it."""

import contextlib
import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from gcn_jax.data.consistency import Consistency
from gcn_jax.data.copies import Copies
from gcn_jax.data.files import MaskFacts
from gcn_jax.data.images import ImageFacts
from gcn_jax.data.problems import Problem, split_problems
from gcn_jax.data.statistics import LabelStatistics
from gcn_jax.terminal import ProgressBar


@dataclasses.dataclass
class SplitSummary:
    """The likeness of the images of a split.

    Attributes:
        statistics: The counts of the labels of the images without a problem.
        sizes: How many images have a size (height, width).
        constant: The ids of images whose masks hold a single value.
    """

    statistics: LabelStatistics
    sizes: Counter[tuple[int, int]] = dataclasses.field(default_factory=Counter)
    constant: list[str] = dataclasses.field(default_factory=list)

    @property
    def num_images(self) -> int:
        """How many images can be read."""
        return self.sizes.total()

    @property
    def num_pixels(self) -> int:
        """How many pixels of masks there are, void ones included."""
        return int(self.statistics.pixels.sum()) + self.statistics.void

    @property
    def typical_sizes(self) -> tuple[tuple[int, int], ...]:
        """The smallest, the median and the largest size, by area."""
        ordered = sorted(self.sizes.elements(), key=lambda size: size[0] * size[1])
        return (ordered[0], ordered[len(ordered) // 2], ordered[-1]) if ordered else ()


class Seen(NamedTuple):
    """The traces of one example: not its pixels.

    Attributes:
        key: Its id.
        names: The files of its image and of its mask, for messages.
        size: The (height, width) of its image; None where it cannot be read.
        digest: A hash of the image's pixels; None where it cannot be read.
        statistics: The counts of its labels; None where there is a problem or no label.
        problems: What is wrong with it.
        image: The image's properties; None where they are not compared.
        mask: The mask's properties; None where they are not compared.
    """

    key: str
    names: tuple[str, str]
    size: tuple[int, ...] | None
    digest: bytes | None
    statistics: LabelStatistics | None
    problems: Sequence[Problem]
    image: ImageFacts | None = None
    mask: MaskFacts | None = None


#: A split: its name, what it consists of, and how to look at one of these.
Part = tuple[str, Sequence, Callable[[Any], Seen]]


class Survey(NamedTuple):
    """The findings in all splits of a data set.

    Attributes:
        splits: A summary of each split, in the order of the data set.
        problems: What is wrong.
        remarks: What may be meant.
    """

    splits: dict[str, SplitSummary]
    problems: list[Problem]
    remarks: list[str]


def see(
    key: str,
    names: tuple[str, str],
    image: np.ndarray | None,
    label: np.ndarray | None,
    problems: Sequence[Problem],
    num_classes: int,
) -> Seen:
    """Keep of an example what is to be compared.

    Args:
        key: Its id.
        names: The files of its image and of its mask.
        image: uint8 `[H, W, 3]`; None where it cannot be read.
        label: uint8 `[H, W]`; None where it cannot be read, or is not public.
        problems: What is wrong with it.
        num_classes: C; labels are below it, or `IGNORE_LABEL`.
    """
    size = digest = statistics = None
    if image is not None:
        size = image.shape[:2]
        content = hashlib.blake2b(repr(size).encode(), digest_size=16)
        content.update(np.ascontiguousarray(image).data)
        digest = content.digest()
    if label is not None and not problems:
        statistics = LabelStatistics.of(label, num_classes)
    return Seen(key, names, size, digest, statistics, problems)


def survey(
    name: str,
    parts: Iterable[Part],
    num_classes: int,
    copies: Copies,
    consistency: Consistency,
    problems: Sequence[Problem] = (),
) -> Survey:
    """Look at every file of a data set.

    Args:
        name: The data set.
        parts: Its splits.
        num_classes: How many classes it has.
        copies: What is told of each image.
        consistency: What is told of the properties of each file.
        problems: What is known to be wrong already.

    Returns:
        What was found, with the problems that were known first.
    """
    found, splits = list(problems), {}
    with ProgressBar(stderr=True) as bar, _threads() as pool:
        try:
            for split, items, look in parts:
                seen = bar.track(pool.map(look, items), len(items), f"{name}:{split}")
                splits[split], more = _summarise(split, seen, num_classes, copies, consistency)
                found += more
                spoiled = any(problem.split == split for problem in found)
                if not spoiled or splits[split].num_pixels:
                    statistics = splits[split].statistics
                    found += split_problems(name, split, len(items), statistics)
        except Problem as problem:  # a list of images, which is read only when it is due
            found.append(problem)
    found = [*consistency.fold(found), *consistency.problems()]
    return Survey(splits, found, list(consistency.remarks()))


@contextlib.contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the images that are left


def _summarise(
    split: str,
    seen: Iterable[Seen],
    num_classes: int,
    copies: Copies,
    consistency: Consistency,
) -> tuple[SplitSummary, list[Problem]]:
    """Go through the images of a split."""
    summary = SplitSummary(LabelStatistics.empty(num_classes))
    problems = []
    for one in seen:
        problems += [problem.within(split) for problem in one.problems]
        if one.size is not None:
            summary.sizes[one.size[0], one.size[1]] += 1
            if one.image is not None:
                consistency.add_image(split, one.names[0], one.image, one.size)
        if one.mask is not None:
            consistency.add_mask(split, one.names[1], one.mask)
        if one.statistics is not None:
            summary.statistics += one.statistics
            if np.count_nonzero(one.statistics.pixels) + (one.statistics.void > 0) == 1:
                summary.constant.append(one.key)
        copies.add(split, one.key, one.digest)
    return summary, problems
