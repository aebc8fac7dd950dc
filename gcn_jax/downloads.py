"""Downloads with a progress bar, which go on where they broke off, and published files."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import requests
from tqdm import tqdm

from gcn_jax.errors import UserError

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
            tqdm(
                desc=url.rpartition("/")[2],
                total=total or None,
                initial=start,
                unit="B",
                unit_scale=True,
            ) as bar,
        ):
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))


def cache_folder(kind: str) -> Path:
    """Return the folder `gcn_jax/KIND` of `$XDG_CACHE_HOME`, by default `~/.cache`.

    Args:
        kind: What is kept there, such as "weights".
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "gcn_jax" / kind


def check_digest(path: Path, algorithm: str, digest: str, by_hand: str) -> None:
    """Check that a file is the published one.

    Args:
        path: The file.
        algorithm: How `hashlib` calls the digest, such as "sha256".
        digest: What it begins with, in hexadecimal digits.
        by_hand: How else to have the file, for an error.

    Raises:
        UserError: It is another file.
        OSError: It cannot be read.
    """
    with path.open("rb") as opened:
        found = hashlib.file_digest(opened, algorithm).hexdigest()
    if not found.startswith(digest):
        raise UserError(
            f"{path} is not the published file: its {algorithm} begins with {found[:8]}, not "
            f"{digest[:8]}; delete it if it is there and try again, or {by_hand}"
        )


def published_file(url: str, kind: str, algorithm: str, digest: str, purpose: str) -> Path:
    """Return where a published file lies; download it if it is not there, and check it.

    It is kept in `cache_folder(kind)`. A download that broke off goes on where it ended.

    Args:
        url: Its address.
        kind: The folder, such as "weights".
        algorithm: How `hashlib` calls the digest, such as "sha256".
        digest: What it begins with, in hexadecimal digits.
        purpose: What needs the file, for an error.

    Raises:
        UserError: It cannot be had, or what is there is another file than was published.
    """
    path = cache_folder(kind) / url.rpartition("/")[2]
    by_hand = f"fetch {url} by hand and put it at {path}"

    try:
        with alone_in(path.parent):
            if not path.exists():
                part = path.with_name(f"{path.name}.part")
                download(url, part)
                try:
                    check_digest(part, algorithm, digest, by_hand)
                except UserError:
                    part.unlink()  # else every later download would go on with it
                    raise
                part.replace(path)
            else:
                check_digest(path, algorithm, digest, by_hand)
    except UserError:
        raise
    except (OSError, ValueError) as error:  # those of requests are kinds of OSError
        raise UserError(f"{purpose}: {url} cannot be downloaded ({error}); {by_hand}") from error
    return path
