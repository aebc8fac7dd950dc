"""The digests of a checkpoint's files: damage is noticed also in bytes that nothing reads.

Those of the arrays (`digests.py`) are of what was in memory. These are of what lies on the disk,
and are written once a step is complete; a step whose process was killed before that has none.
"""

import hashlib
import json
from pathlib import Path

import xxhash

from gcn_jax import atomic
from gcn_jax.models.pretrained.digests import DIGESTS

#: Below the folder of a step.
_FILE = Path(DIGESTS) / "files.json"
#: What is written, or written again, when a step is complete; it has a digest of its own.
_LATER = "metrics"


def write_file_digests(step: Path) -> None:
    """Write the 64-bit XXH3 of every file of a step that is complete.

    Args:
        step: The folder of the step.

    Raises:
        OSError: A file cannot be read, as where the step was deleted.
        UserError: The digests cannot be written.
    """
    found = {path.relative_to(step).as_posix(): _digest(path) for path in _files(step)}
    atomic.write(step / _FILE, json.dumps(found, separators=(",", ":")))


def check_file_digests(step: Path) -> None:
    """Compare the files of a step with their digests, where there are any.

    Args:
        step: The folder of the step.

    Raises:
        ValueError: A file is missing or another than was written, or the digests are damaged.
    """
    if not (step / _FILE).exists():
        return
    written = json.loads((step / _FILE).read_text())
    if not isinstance(written, dict):
        raise ValueError(f"{_FILE} is damaged")
    for name, digest in written.items():
        if not (step / name).is_file():
            raise ValueError(f"{name} is missing")
        if _digest(step / name) != digest:
            raise ValueError(f"{name} is not what was written: its digest differs")
    if unknown := {path.relative_to(step).as_posix() for path in _files(step)} - written.keys():
        raise ValueError(f"{min(unknown)} was not there when it was written")


def _files(step: Path) -> list[Path]:
    return [
        path
        for path in sorted(step.rglob("*"))
        if path.is_file()
        and path != step / _FILE
        and path.relative_to(step).parts[0] != _LATER
        and not path.name.endswith(".tmp")
    ]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_64).hexdigest()
