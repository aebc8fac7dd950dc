"""Downloads: with a progress bar, resumed, and never half of one under a whole one's name."""

import contextlib
import fcntl
import gzip
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pooch
import requests
from tqdm import tqdm

from gcn_jax.errors import UserError, setting

#: Bytes that are written at once; fewer are lost when a download breaks off.
_CHUNK = 1 << 16

_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


class Archive(NamedTuple):
    """An archive that is published.

    Attributes:
        url: Where; its name ends in .zip, .tar, .tgz or .tar.gz.
        folder: The name of the folder in it that holds the data.
        checksum: "sha256:..." or "md5:...", where one is published.
    """

    url: str
    folder: str
    checksum: str | None = None


def download_archive(archive: Archive, directory: str) -> Path:
    """Download an archive, unpack it, and find its folder.

    What is there already is not fetched again. A download that broke off goes on where it ended,
    if there is a checksum to prove that both parts are of one archive. Of several runs at once, one
    downloads, and the others wait for what it gets.

    Args:
        archive: What to fetch.
        directory: Where to keep the archive and what it holds.

    Returns:
        The path of the folder.

    Raises:
        UserError: The archive cannot be fetched or unpacked, is damaged or another one than was
            published, or holds no such folder.
    """
    url, folder, checksum = archive
    downloads = Path(directory) / "downloads"
    try:
        with _alone_in(downloads):
            path = pooch.retrieve(
                url,
                known_hash=checksum,
                path=downloads,
                downloader=_Resuming(downloads) if checksum else _download_to,
            )
            unpacked = _unpack(Path(path), url)
    except UserError:
        raise
    except (requests.RequestException, OSError, ValueError) as error:
        raise UserError(
            f"{url}: the download failed ({error}); try again, or fetch it by hand and name the "
            f"unpacked folder with {setting('data.manual_dir')}"
        ) from None
    found = next(unpacked.rglob(f"{folder}/"), None)
    if found is None:
        raise UserError(f"{url}: the archive holds no folder {folder!r}")
    return found


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Make a folder, and wait until no other run downloads to it."""
    directory.mkdir(parents=True, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # which unlocks it


class _Resuming:
    """A downloader for pooch that keeps what has come when a download breaks off."""

    def __init__(self, directory: Path):
        self._directory = directory

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        """Download to `NAME.part`, then rename it."""
        part = self._directory / f"{url.rpartition('/')[2]}.part"
        _download_to(url, part, pooch)
        part.replace(output_file)


def _download_to(url: str, path: Any, pooch: Any) -> None:
    """Download what a file does not hold of an address yet; pooch's arguments."""
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


def _unpack(archive: Path, url: str) -> Path:
    """Unpack beside the archive; what is damaged is deleted, so that it is fetched again."""
    target = archive.with_name(f"{archive.name}.unpacked")
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
        try:
            _extract(archive, Path(temporary) / "all")
        except _DAMAGED as error:
            archive.unlink()
            raise UserError(
                f"{url}: what came is not a whole {archive.suffix[1:]} archive ({error}); it is "
                "deleted: try again, or fetch it by hand and name the unpacked folder with "
                f"{setting('data.manual_dir')}"
            ) from None
        (Path(temporary) / "all").rename(target)
    return target


def _extract(archive: Path, target: Path) -> None:
    """Extract all members, none of them outside the target."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            file.extractall(target)
    else:
        with tarfile.open(archive) as file:
            file.extractall(target, filter="data")
