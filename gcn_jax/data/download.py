"""Downloads: with a progress bar, and never half of one under a whole one's name."""

import tempfile
import zipfile
import zlib
from pathlib import Path

import pooch
import requests

from gcn_jax.errors import UserError


def download_archive(url: str, folder: str, directory: str, sha256: str | None = None) -> Path:
    """Download a zip archive, unpack it, and find a folder in it.

    What is there already is not fetched again.

    Args:
        url: The archive.
        folder: The name of the folder to find.
        directory: Where to keep the archive and what it holds.
        sha256: The archive's checksum, where one is published.

    Returns:
        The path of the folder.

    Raises:
        UserError: The archive cannot be fetched, is damaged, or holds no such folder.
    """
    try:
        archive = pooch.retrieve(
            url,
            known_hash=sha256 and f"sha256:{sha256}",
            path=Path(directory) / "downloads",
            progressbar=True,
        )
    except (requests.RequestException, OSError, ValueError) as error:
        raise UserError(
            f"{url}: the download failed ({error}); try again, or fetch it by hand and name the "
            "unpacked folder with --config.data.manual_dir"
        ) from None
    found = next(_unpack(Path(archive), url).rglob(f"{folder}/"), None)
    if found is None:
        raise UserError(f"{url}: the archive holds no folder {folder!r}")
    return found


def _unpack(archive: Path, url: str) -> Path:
    """Unzip beside the archive; what is no zip file is deleted, so that it is fetched again."""
    target = archive.with_name(f"{archive.name}.unzip")
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
        try:
            with zipfile.ZipFile(archive) as file:
                file.extractall(Path(temporary) / "all")
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            archive.unlink()
            raise UserError(
                f"{url}: what came is not a whole zip archive ({error}); it is deleted: try again, "
                "or fetch it by hand and name the unpacked folder with --config.data.manual_dir"
            ) from None
        try:
            (Path(temporary) / "all").rename(target)
        except OSError:
            if not target.exists():  # otherwise another run was faster
                raise
    return target
