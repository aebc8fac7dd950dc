"""Files that are there whole or not at all."""

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
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
