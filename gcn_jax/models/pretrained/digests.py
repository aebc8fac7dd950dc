"""The digests of a checkpoint: what is read is compared with what was written.

A digest is the CRC-32 of an array's bytes, as zip and PNG have it: no flipped bit and no run of
damage shorter than 32 bits goes unnoticed, and longer damage once in four billion times.
"""

import json
import warnings
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

#: The item of a checkpoint that holds its digests.
DIGESTS = "digests"
#: The file beside published weights that holds theirs.
PUBLISHED_DIGESTS = "digests.json"
_THREADS = 4


def digests_of(tree: Any) -> dict[str, str]:
    """Compute the digest of each array.

    Args:
        tree: Arrays that lie on this host, whole; those that are split over hosts are left out.

    Returns:
        Eight hexadecimal digits by the path of the array, such as "params/gcn2/left_k1/kernel".
    """
    leaves = {
        jax.tree_util.keystr(path, simple=True, separator="/"): _on_host(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if not isinstance(leaf, jax.Array) or leaf.is_fully_replicated
    }
    with ThreadPoolExecutor(_THREADS) as pool:  # zlib lets other threads run
        return dict(zip(leaves, pool.map(_digest, leaves.values()), strict=True))


def digest_of_json(value: Any) -> str:
    """Return the digest of a JSON value, whatever the order of its keys."""
    return f"{zlib.crc32(json.dumps(value, sort_keys=True).encode()):08x}"


def check_digests(tree: Any, written: Mapping[str, str] | None) -> None:
    """Compare arrays that were read with the digests that were written with them.

    Args:
        tree: The arrays; there may be fewer than were written.
        written: Their digests; None where the checkpoint is of a version that wrote none: then all
            is taken as it is.

    Raises:
        ValueError: An array is another than was written; the message names it.
    """
    if written is None:
        return
    for path, digest in digests_of(tree).items():
        if written.get(path) != digest:
            raise ValueError(f"{path} is not what was written: its digest differs")


def warn_without_digests(where: str) -> None:
    """Warn that a checkpoint was read, and could not be compared.

    It is not said while the checkpoint is read: where warnings are errors, it would be taken for
    a damaged one.

    Args:
        where: What to call the checkpoint.
    """
    warnings.warn(
        f"{where} has no digests, as those of older versions: damage would not be noticed",
        stacklevel=2,
    )


def read_digests(folder: Path, step: int) -> dict[str, str] | None:
    """Read the digests of a checkpoint.

    Args:
        folder: The folder `checkpoints/`.
        step: The number of the checkpoint.

    Returns:
        Digests by the path of their array, and "data" for the position of the data; or None.

    Raises:
        ValueError: They are damaged.
    """
    if not (folder / str(step) / DIGESTS).exists():
        return None
    digests = json.loads((folder / str(step) / DIGESTS / "metadata").read_text())
    if not isinstance(digests, dict):
        raise ValueError("its digests are damaged")
    return digests


def _on_host(leaf: Any) -> np.ndarray:
    return np.asarray(leaf.addressable_data(0) if isinstance(leaf, jax.Array) else leaf)


def _digest(array: np.ndarray) -> str:
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return f"{zlib.crc32(content.data):08x}"
