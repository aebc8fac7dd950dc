"""Downloads: with a progress bar, and never half of one under a whole one's name."""

import gzip
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import pooch
import requests

from gcn_jax.errors import UserError

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

    What is there already is not fetched again.

    Args:
        archive: What to fetch.
        directory: Where to keep the archive and what it holds.

    Returns:
        The path of the folder.

    Raises:
        UserError: The archive cannot be fetched, is damaged or another one than was published, or
            holds no such folder.
    """
    url, folder, checksum = archive
    try:
        path = pooch.retrieve(
            url,
            known_hash=checksum,
            path=Path(directory) / "downloads",
            progressbar=True,
        )
    except (requests.RequestException, OSError, ValueError) as error:
        raise UserError(
            f"{url}: the download failed ({error}); try again, or fetch it by hand and name the "
            "unpacked folder with --config.data.manual_dir"
        ) from None
    found = next(_unpack(Path(path), url).rglob(f"{folder}/"), None)
    if found is None:
        raise UserError(f"{url}: the archive holds no folder {folder!r}")
    return found


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
                "--config.data.manual_dir"
            ) from None
        try:
            (Path(temporary) / "all").rename(target)
        except OSError:
            if not target.exists():  # otherwise another run was faster
                raise
    return target


def _extract(archive: Path, target: Path) -> None:
    """Extract all members, none of them outside the target."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            file.extractall(target)
    else:
        with tarfile.open(archive) as file:
            file.extractall(target, filter="data")
