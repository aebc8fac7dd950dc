"""The digests of a checkpoint: what is read is compared with what was written.

A digest is the 64-bit XXH3 of an array's bytes: damage goes unnoticed once in 2**64 times, and it
takes a third of the time of the CRC-32 that older versions wrote, which is still compared.
"""

import json
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
import xxhash

#: The item of a checkpoint that holds its digests.
DIGESTS = "digests"
#: The file beside published weights that holds theirs.
PUBLISHED_DIGESTS = "digests.json"
#: How many hexadecimal digits a CRC-32 has.
_OLDER = 8


def digests_of(tree: Any, written: Mapping[str, Any] = MappingProxyType({})) -> dict[str, str]:
    """Compute the digest of each array.

    Args:
        tree: Arrays that lie on this host, whole; those that are split over hosts are left out.
        written: Digests to compare with; an array has one of the kind that was written for it.

    Returns:
        16 hexadecimal digits by the path of the array, such as "params/gcn2/left_k1/kernel"; 8
        where an older version wrote so many.
    """
    leaves = {
        jax.tree_util.keystr(path, simple=True, separator="/"): _on_host(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if not isinstance(leaf, jax.Array) or leaf.is_fully_replicated
    }
    return {
        path: _crc32(array) if len(str(written.get(path))) == _OLDER else _xxh3(array)
        for path, array in leaves.items()
    }


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
    for path, digest in digests_of(tree, written).items():
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


def _xxh3(array: np.ndarray) -> str:
    return xxhash.xxh3_64_hexdigest(_bytes(array))


def _crc32(array: np.ndarray) -> str:
    return f"{zlib.crc32(_bytes(array)):08x}"


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
