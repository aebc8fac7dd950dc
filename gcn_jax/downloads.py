"""Downloads with a progress bar, which go on where they broke off."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import requests
from tqdm import tqdm

#: Bytes that are written at once; fewer are lost when a download breaks off.
_CHUNK = 1 << 16


@contextlib.contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Make a folder, and wait until no other run downloads or unpacks there.

    Args:
        directory: The folder.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # which unlocks it


def download(url: str, path: str | Path) -> None:
    """Download what a file does not hold of an address yet.

    Args:
        url: The address.
        path: The file, which need not exist; what it holds is the beginning.

    Raises:
        requests.RequestException: The address cannot be read.
        OSError: The file cannot be written.
    """
    start = Path(path).stat().st_size if Path(path).exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(url, headers=headers, stream=True, timeout=30) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # there is no more of it
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            start = 0
        total = start + int(response.headers.get("Content-Length", 0))
        with (
            open(path, "ab" if start else "wb") as file,
            tqdm(total=total or None, initial=start, unit="B", unit_scale=True) as bar,
        ):
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
