"""Files that are there whole or not at all."""

import contextlib
import os
from pathlib import Path

from gcn_jax.errors import UserError


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file under a temporary name beside it, then rename: no reader sees half of it.

    Args:
        path: The file; folders that are missing are made.
        content: Text (written as UTF-8) or bytes.

    Raises:
        UserError: The file cannot be written there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the new name without the bytes
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
