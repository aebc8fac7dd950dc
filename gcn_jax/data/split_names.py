"""Names of splits: what people call train, val and test, and what TFDS cannot take."""

import re
from collections.abc import Iterable
from pathlib import Path

from gcn_jax.data.problems import Problem

#: Names in any case of letters -> the split.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def canonical_split(name: str) -> str:
    """Return train, val or test for what people call them; other names as they are.

    Args:
        name: The name of a list or folder.
    """
    return SPLIT_NAMES.get(name.lower(), name)


def split_name_problems(data_set: str, names: Iterable[str], root: Path) -> list[Problem]:
    """Find names of splits in a folder that TFDS could not prepare, or not find again.

    Args:
        data_set: The data set, for the messages.
        names: The names of its splits.
        root: The folder.
    """
    return [
        Problem(
            "name of a split",
            f"{data_set}: {root}: no split can be called {name!r}; rename its list or folder (to "
            "letters, digits, _ and -, but not 'all', which is every split to TFDS)",
            name,
        )
        for name in names
        if name.lower() == "all" or not re.fullmatch(r"[\w-]+", name)
    ]
