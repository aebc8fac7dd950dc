"""Files that are there whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gcn_jax.errors import UserError


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file under a temporary name beside it, then rename: no reader sees half of it.

    Args:
        path: The file; folders that are missing are made.
        content: Text (written as UTF-8) or bytes.

    Raises:
        UserError: The file cannot be written there.
    """
    with replacing(path) as file, named(path):
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name only when the block ends without an error.

    Args:
        path: The file; folders that are missing are made.

    Yields:
        A temporary file beside it, empty, to write and to read back.

    Raises:
        UserError: The file cannot be written there, which mostly shows before the block begins.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = temporary.open("w+b")
        with file:
            yield file
            with named(path):
                file.flush()
                # Else a power cut could leave the new name without the bytes.
                os.fsync(file.fileno())
        with named(path):
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Say which file cannot be written, where the system does not let the block do it.

    Args:
        path: The file.

    Raises:
        UserError: It cannot.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
