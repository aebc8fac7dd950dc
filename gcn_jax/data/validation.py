"""Everything that is wrong with a data set, in one go, and what is worth knowing of it."""

import contextlib
import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gcn_jax.data import files
from gcn_jax.data.builders.base import Examined, SegmentationBuilder
from gcn_jax.data.builders.registry import make_unchecked_builder, prepare_offline
from gcn_jax.data.copies import Copies
from gcn_jax.data.problems import Problem, split_problems
from gcn_jax.data.sources import Source
from gcn_jax.data.statistics import CLASS_WEIGHTS, LabelStatistics, class_weights
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


@dataclasses.dataclass(frozen=True)
class Validation:
    """The findings of `validate`.

    Attributes:
        name: The data set.
        class_names: The names of labels 0..C-1; none where they are what is wrong.
        splits: By name, in the order of the data set.
        problems: What has to be corrected: preparation would refuse it, or training would see what
            it is judged by.
        remarks: What may be meant.
    """

    name: str
    class_names: Sequence[str]
    splits: Mapping[str, SplitSummary]
    problems: Sequence[Problem]
    remarks: Sequence[str] = ()

    @property
    def training_split(self) -> str | None:
        """The split "train", or else the first whose name begins so."""
        return _training_split(self.splits)

    @property
    def class_weights(self) -> dict[str, np.ndarray]:
        """Method -> float32 `[C]`, the weights for the training split, where it has labels."""
        if self.training_split is None:
            return {}
        statistics = self.splits[self.training_split].statistics
        if not statistics.pixels.any():
            return {}
        return {method: class_weights(method, statistics) for method in CLASS_WEIGHTS}

    def to_json(self) -> dict[str, Any]:
        """Return all of it as lists, texts and numbers."""
        return {
            "name": self.name,
            "class_names": list(self.class_names),
            "splits": {
                split: {
                    "num_images": summary.num_images,
                    "sizes": [[*size, count] for size, count in sorted(summary.sizes.items())],
                    "labels": summary.statistics.to_json(),
                }
                for split, summary in self.splits.items()
            },
            "class_weights": {name: array.tolist() for name, array in self.class_weights.items()},
            "problems": [
                {"kind": problem.kind, "split": problem.split, "message": str(problem)}
                for problem in self.problems
            ],
            "remarks": list(self.remarks),
        }


def validate(name: str, settings: Mapping[str, Any]) -> Validation:
    """Look at every image of a data set.

    The user's folder (`manual_dir`) is read as it is; without one, the prepared copy. A folder has
    no problem in it exactly if it can be prepared and no image of its training split is in another.

    Args:
        name: A key of `BUILDERS`.
        settings: The `data` section of a config; see `make_builder`.

    Raises:
        UserError: There is no such data set or folder, or it would have to be downloaded first.
    """
    try:
        builder = make_unchecked_builder(name, settings)
    except Problem as problem:  # without classes or a known layout there is nothing to look at
        return Validation(name, (), {}, [problem])
    if builder.raw_splits() is None:
        prepare_offline(builder)
    problems = list(builder.problems)
    splits: dict[str, SplitSummary] = {}
    copies = Copies(by_id=builder.collection is not None)
    with ProgressBar(stderr=True) as bar, _threads() as pool:
        try:
            for split, items, look in _splits_to_look_at(builder):
                seen = bar.track(pool.map(look, items), len(items), f"{name}:{split}")
                splits[split], found = _summarise(split, seen, len(builder.classes.names), copies)
                problems += found
                spoiled = any(problem.split == split for problem in problems)
                if not spoiled or splits[split].num_pixels:
                    statistics = splits[split].statistics
                    problems += split_problems(name, split, len(items), statistics)
        except Problem as problem:  # a list of images, which is read only when it is due
            problems.append(problem)
    leaks, remarks = copies.judge(name, _training_split(splits))
    class_names = builder.classes.names
    remarks = [*_remarks(splits, class_names), *remarks]
    return Validation(name, class_names, splits, problems + leaks, remarks)


@contextlib.contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the images that are left


class _Seen(NamedTuple):
    """What is kept of an image: not its pixels."""

    key: str
    size: tuple[int, int] | None
    digest: bytes | None
    statistics: LabelStatistics | None
    problems: Sequence[Problem]


def _splits_to_look_at(
    builder: SegmentationBuilder,
) -> Iterator[tuple[str, Sequence, Callable[[Any], _Seen]]]:
    """Yield each split, its images, and what to do with one of them."""
    num_classes = len(builder.classes.names)
    raw_splits = builder.raw_splits()
    if raw_splits is not None:
        for split, pairs in raw_splits:
            yield split, pairs, lambda pair: _keep(pair[0], builder.examine(pair), num_classes)
        return
    for split in builder.info.splits:
        source = Source(builder, split)
        yield split, range(len(source)), partial(_look_at_prepared, source)


def _look_at_prepared(source: Source, index: int) -> _Seen:
    key = f"{source.name}, number {index}"
    num_classes = len(source.class_names)
    try:
        example = source[index]
    except Problem as problem:
        return _keep(key, Examined(None, None, [problem]), num_classes)
    image, label, problems = example["image"], example.get("label"), []
    if label is not None:
        problems = list(files.pair_problems(image, label, num_classes, key))
    return _keep(example["id"], Examined(image, label, problems), num_classes)


def _keep(key: str, examined: Examined, num_classes: int) -> _Seen:
    image, label, problems = examined
    size = digest = statistics = None
    if image is not None:
        size = image.shape[:2]
        content = hashlib.blake2b(repr(size).encode(), digest_size=16)
        content.update(np.ascontiguousarray(image).data)
        digest = content.digest()
    if label is not None and not problems:
        statistics = LabelStatistics.of(label, num_classes)
    return _Seen(key, size, digest, statistics, problems)


def _summarise(
    split: str, seen: Iterator[_Seen], num_classes: int, copies: Copies
) -> tuple[SplitSummary, list[Problem]]:
    """Go through the images of a split, and tell `copies` of each."""
    summary = SplitSummary(LabelStatistics.empty(num_classes))
    problems = []
    for one in seen:
        problems += [Problem(problem.kind, str(problem), split) for problem in one.problems]
        if one.size is not None:
            summary.sizes[one.size] += 1
        if one.statistics is not None:
            summary.statistics += one.statistics
            if np.count_nonzero(one.statistics.pixels) + (one.statistics.void > 0) == 1:
                summary.constant.append(one.key)
        copies.add(split, one.key, one.digest)
    return summary, problems


def _training_split(splits: Mapping[str, Any]) -> str | None:
    names = sorted(splits, key=lambda name: name != "train")
    return next((name for name in names if name.startswith("train")), None)


def _remarks(splits: Mapping[str, SplitSummary], class_names: Sequence[str]) -> Iterator[str]:
    """Say what is odd about the labels."""
    present = {
        split: {class_names[int(i)] for i in np.flatnonzero(summary.statistics.pixels)}
        for split, summary in splits.items()
    }
    training = _training_split(splits)
    if training is not None and present[training]:
        absent = [name for name in class_names if name not in present[training]]
        if absent:
            yield f"{training} has no pixel of {_some(absent)}"
        for split in splits:
            unseen = [name for name in absent if name in present[split]]
            if unseen:
                yield f"{split} has {_some(unseen)}, which {training} lacks"
    for split, summary in splits.items():
        if summary.constant:
            count = len(summary.constant)
            yield f"{split}: masks of one value only: {count} ({_some(summary.constant)})"


def _some(names: Sequence[str], limit: int = 8) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
