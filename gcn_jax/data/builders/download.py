"""Downloads: with a progress bar, resumed, and never half of one under a whole one's name."""

from pathlib import Path
from typing import Any, NamedTuple

import pooch
import requests

from gcn_jax.downloads import alone_in, download
from gcn_jax.errors import UserError, setting


class Archive(NamedTuple):
    """An archive that is published.

    Attributes:
        url: Its address; of one that needs a login, the page that leads to it.
        checksum: "sha256:...", "sha1:..." or "md5:...", where one is published.
        mirrors: Other addresses of the same bytes; the checksum proves that they are.
        names: The names that its file may have, as `fnmatch` patterns; by default the address's.
        needs_login: Whether a program cannot fetch it.
        optional: Whether the data set can do without it.
        into: The folder to unpack it into, where it brings none of its own.
    """

    url: str
    checksum: str | None = None
    mirrors: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    needs_login: bool = False
    optional: bool = False
    into: str = ""

    @property
    def file_names(self) -> tuple[str, ...]:
        """The patterns of its name, best first."""
        return self.names or (self.url.rpartition("/")[2],)


def fetch(archive: Archive, directory: str | Path) -> Path:
    """Download an archive, from the first of its addresses that has it.

    What is there already is not fetched again. A download that broke off goes on where it ended,
    if there is a checksum to prove that both parts are of one archive. Of several runs at once, one
    downloads, and the others wait for what it gets.

    Args:
        archive: The archive.
        directory: The folder in whose `downloads/` it is kept.

    Returns:
        The path of the file.

    Raises:
        UserError: No address has it, or what came is another file than was published.
    """
    downloads = Path(directory) / "downloads"
    failures = []
    with alone_in(downloads):
        for url in (archive.url, *archive.mirrors):
            try:
                return Path(
                    pooch.retrieve(
                        url,
                        known_hash=archive.checksum,
                        fname=pooch.utils.unique_file_name(archive.url),
                        path=downloads,
                        downloader=_Resuming(downloads) if archive.checksum else _download_to,
                    )
                )
            except (requests.RequestException, OSError, ValueError) as error:
                failures.append(f"{url}: the download failed ({error})")
    raise UserError(
        f"{'; '.join(failures)}; try again, or fetch it by hand and name the folder that holds it "
        f"with {setting('data.manual_dir')}"
    )


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
    """Call `download` with pooch's arguments."""
    download(url, path)
