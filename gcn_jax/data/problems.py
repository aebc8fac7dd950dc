"""The problems of the files of a data set: one exception, so that all can be listed."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.statistics import LabelStatistics
from gcn_jax.errors import UserError

#: One example before it is read: its id, its image file, and what its label is read from, most
#: often a mask file; None where the label is not public.
Pair = tuple[str, Path, Any]


class Problem(UserError):
    """Something wrong with the files of a data set; the message names the file and the remedy.

    Preparation stops at the first one; validation lists all.

    Attributes:
        kind: What it is called when problems are counted, such as "missing mask".
        split: The split that it is found in; None where it concerns all, or who raises it does
            not know.
        all: All that is wrong, where more was found before this one was raised.
    """

    def __init__(self, kind: str, message: str, split: str | None = None):
        super().__init__(message)
        self.kind = kind
        self.split = split
        self.all: Sequence[Problem] = (self,)

    def within(self, split: str | None) -> "Problem":
        """Return the same problem, found in a split.

        Args:
            split: The name of the split.
        """
        return Problem(self.kind, self.args[0], split)


@contextlib.contextmanager
def reading_prepared(folder: str | Path) -> Iterator[None]:
    """Turn whatever goes wrong with a prepared copy into one `Problem` with its remedy.

    Args:
        folder: The folder of the prepared copy.

    Raises:
        Problem: Something in the block failed; a `UserError` and a lack of memory pass as they are.
    """
    try:
        yield
    except (UserError, MemoryError, IndexError):
        raise
    except Exception as error:  # TFDS, ArrayRecord and Pillow raise whatever the damage leads to
        reason = (str(error).strip().splitlines() or [repr(error)])[0][:200]
        message = f"{folder} is damaged ({reason}); delete that folder, and it is prepared again"
        raise Problem("damaged prepared data", message) from None


def refuse(problems: Sequence[Problem]) -> None:
    """Raise the first of some problems, if there is one, and say how many there are."""
    if len(problems) > 1:
        first = problems[0]
        message = (
            f"{first.args[0]} (and {len(problems) - 1} more problems, which `gcn-jax data "
            "validate` lists)"
        )
        problem = Problem(first.kind, message, first.split)
        problem.all = tuple(problems)
        raise problem
    if problems:
        raise problems[0]


def check_listing(
    name: str, splits: Mapping[str, Sequence[Pair]]
) -> tuple[dict[str, list[Pair]], list[Problem]]:
    """Check the pairs of a data set before any file is opened.

    Args:
        name: The data set.
        splits: The pairs of each split.

    Returns:
        The pairs that can be read, and the problems of the others: a file does not exist, an id is
        listed twice, or it is a file name that is not UTF-8.
    """
    good: dict[str, list[Pair]] = {}
    problems: list[Problem] = []
    for split, pairs in splits.items():
        for key, count in Counter(key for key, *_ in pairs).items():
            if count > 1:
                message = f"{name}:{split} lists {key!r} {count} times; list an image once"
                problems.append(Problem("listed twice", message, split))
        good[split] = []
        for key, *files in {pair[0]: pair for pair in pairs}.values():
            missing = [path for path in files if isinstance(path, Path) and not path.exists()]
            for path in missing:
                message = f"{path}: no such file; add it, or take {key!r} out of {name}:{split}"
                problems.append(Problem("missing file", message, split))
            if not _is_utf8(key):  # what TFDS and JSON write
                message = f"{name}:{split}: the name {key!r} is not UTF-8; rename the file"
                problems.append(Problem("name of an image", message, split))
            elif not missing:
                good[split].append((key, *files))
    return good, problems


def _is_utf8(text: str) -> bool:
    """Whether a name can be written; Python reads other bytes of file names as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def split_problems(
    name: str, split: str, num_images: int, statistics: LabelStatistics
) -> list[Problem]:
    """Find out whether a split as a whole can be used.

    Args:
        name: The data set.
        split: The split; those for training have names that begin with "train".
        num_images: How many images it has.
        statistics: The counts of its labels.

    Returns:
        What is wrong: it is empty, it has masks and no labelled pixel, or it is for training and
        its masks teach nothing.
    """
    if not num_images:
        return [Problem("empty split", f"{name}: the split {split!r} is empty", split)]
    classes = np.flatnonzero(statistics.pixels).tolist()
    training = split.startswith("train")
    if len(classes) > training or not (training or statistics.void):
        return []
    values = classes + [IGNORE_LABEL] * (statistics.void > 0)
    message = f"{name}:{split}: all masks together hold only the values {values}, where "
    if values == [0, IGNORE_LABEL]:
        message += (
            f"{IGNORE_LABEL} is void: these are black-and-white masks; save the foreground as 1, "
            "the number of its class (`gcn-jax data convert` does that)"
        )
    elif training:
        message += (
            f"{IGNORE_LABEL} is void; a mask needs two classes or more, foreground saved as the "
            "number of its class (1, 2, ...)"
        )
    else:
        message += f"{IGNORE_LABEL} is void: without a labelled pixel there is nothing to score"
    return [Problem("masks that teach nothing", message, split)]
