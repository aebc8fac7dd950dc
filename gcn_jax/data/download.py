"""Downloads: with a progress bar, and never half of one under a whole one's name."""

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
        names = pooch.retrieve(
            url,
            known_hash=sha256 and f"sha256:{sha256}",
            path=Path(directory) / "downloads",
            processor=pooch.Unzip(),
            progressbar=True,
        )
    except (requests.RequestException, OSError, ValueError) as error:
        raise UserError(
            f"{url}: the download failed ({error}); try again, or fetch it by hand and name the "
            "unpacked folder with --config.data.manual_dir"
        ) from None
    for name in names:
        for parent in Path(name).parents:
            if parent.name == folder:
                return parent
    raise UserError(f"{url}: the archive holds no folder {folder!r}")
