"""The names of the prepared copies of folders: another name once anything in the folder changes."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from gcn_jax.data.builders.base import SegmentationBuilder
from gcn_jax.data.problems import Problem


def folder_config(
    root: Path,
    class_names: Sequence[str],
    splits: Mapping[str, Sequence[tuple]],
    problems: Sequence[Problem] = (),
    bit_depth: int | None = None,
    channels: int = 3,
) -> tfds.core.BuilderConfig:
    """Name the prepared copy of a folder after what is in it, so that a change makes a new one.

    Args:
        root: The folder.
        class_names: The names of its classes.
        splits: Its pairs, or other tuples of an id and files (None: no file); a file counts as
            changed with its path, size or time.
        problems: What is missing from it: a folder with problems is another than one without.
        bit_depth: How many of 16 bits its images use; None for all.
        channels: How many channels its images have.

    Raises:
        Problem: A file does not exist.
    """
    digest = hashlib.sha256("\n".join([*class_names, *map(str, problems)]).encode())
    if bit_depth is not None:
        digest.update(f"{bit_depth} bits".encode())
    if channels != 3:
        digest.update(f"{channels} channels, all levels".encode())
    for split, pairs in splits.items():
        for key, *paths in pairs:
            identities = [_identity(path) for path in paths if path is not None]
            digest.update(repr((split, key, identities)).encode())
    name = f"{root.resolve().name}-{digest.hexdigest()[:12]}"
    return tfds.core.BuilderConfig(name=name, version=SegmentationBuilder.VERSION)


def _identity(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise Problem("missing file", f"{path}: no such file") from None
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns
