"""Everything that is wrong with a data set, in one go, and what is worth knowing of it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from gcn_jax.data import files
from gcn_jax.data.builders.base import SegmentationBuilder
from gcn_jax.data.builders.registry import make_unchecked_builder, prepare_offline
from gcn_jax.data.copies import Copies
from gcn_jax.data.problems import Problem
from gcn_jax.data.sources import Source
from gcn_jax.data.statistics import CLASS_WEIGHTS, class_weights
from gcn_jax.data.survey import Part, Seen, SplitSummary, see, survey


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
        return Validation(name, (), {}, problem.all)
    if builder.raw_splits() is None:
        prepare_offline(builder)
    copies = Copies(by_id=builder.collection is not None)
    class_names = builder.classes.names
    splits, problems, remarks = survey(
        name, _parts(builder), len(class_names), copies, builder.consistency(), builder.problems
    )
    leaks, doubles = copies.judge(name, _training_split(splits))
    remarks = [*builder.remarks, *remarks, *_remarks(splits, class_names), *doubles]
    return Validation(name, class_names, splits, problems + leaks, remarks)


def _parts(builder: SegmentationBuilder) -> Iterator[Part]:
    """Yield each split, its images, and what to do with one of them."""
    raw_splits = builder.raw_splits()
    if raw_splits is not None:
        for split, pairs in raw_splits:
            yield split, pairs, builder.look
        return
    for split in builder.info.splits:
        source = Source(builder, split)
        yield split, range(len(source)), partial(_look_at_prepared, source)


def _look_at_prepared(source: Source, index: int) -> Seen:
    key = f"{source.name}, number {index}"
    num_classes = len(source.class_names)
    try:
        example = source[index]
    except Problem as problem:
        return see(key, (key, key), None, None, [problem], num_classes)
    image, label, problems = example["image"], example.get("label"), []
    if label is not None:
        problems = list(files.pair_problems(image, label, num_classes, key))
    return see(example["id"], (key, key), image, label, problems, num_classes)


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
    for split in splits:
        absent = [name for name in class_names if name not in present[split]]
        if present[split] and absent and split != training:
            there = f"{len(class_names) - len(absent)} of {len(class_names)} classes"
            yield f"{split} has no pixel of {_some(absent)}: only {there} can be scored there"
    for split, summary in splits.items():
        if summary.constant:
            count = len(summary.constant)
            yield f"{split}: masks of one value only: {count} ({_some(summary.constant)})"


def _some(names: Sequence[str], limit: int = 8) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
