"""Archives unpacked: once, whole or not at all, and nothing outside of the folder."""

import gzip
import hashlib
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from gcn_jax.data.builders.download import Archive
from gcn_jax.downloads import alone_in
from gcn_jax.errors import UserError, setting
from gcn_jax.terminal import ProgressBar

_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    RuntimeError,  # a ZIP archive with a password, or packed in a way that Python does not know
)

_CHUNK = 1 << 22

#: The names of downloads; a user may have put other files beside them.
_FETCHED = re.compile(r"[0-9a-f]{32}-")


def unpack(files: Sequence[tuple[Path, Archive]], directory: str | Path) -> Path:
    """Unpack the archives of a data set into one folder; not again, if that was done before.

    A file of the user's is compared with its checksum first, where one is published.

    Args:
        files: The file of each archive.
        directory: The folder in whose `downloads/extracted/` to unpack.

    Returns:
        The path of the folder.

    Raises:
        UserError: An archive is damaged or another one than was published, or it cannot be written.
    """
    name = files[0][0].name.partition(".")[0]
    known = hashlib.sha256()
    for path, archive in files:
        stat = path.stat()
        known.update(repr((str(path.resolve()), stat.st_size, stat.st_mtime_ns)).encode())
        known.update(archive.into.encode())
    target = Path(directory) / "downloads/extracted" / f"{name}-{known.hexdigest()[:12]}"
    with alone_in(target.parent):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
                for path, archive in files:
                    if not _was_fetched(path, directory):  # that was compared when it came
                        _check(path, archive)
                    _unpack_one(path, Path(temporary) / "all" / archive.into, directory)
                (Path(temporary) / "all").rename(target)
    return target


def _was_fetched(path: Path, directory: str | Path) -> bool:
    downloads = (Path(directory) / "downloads").resolve()
    return path.resolve().parent == downloads and bool(_FETCHED.match(path.name))


def _check(path: Path, archive: Archive) -> None:
    """Compare a file with its checksum."""
    if archive.checksum is None:
        return
    algorithm, _, expected = archive.checksum.partition(":")
    digest, size, done = hashlib.new(algorithm), path.stat().st_size, 0
    with path.open("rb") as file, ProgressBar(f"checking {path.name}", size, stderr=True) as bar:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            bar.advance(done)
    if digest.hexdigest() != expected:
        raise UserError(
            f"{path}: not the file that is published ({algorithm} {digest.hexdigest()}, published "
            f"{expected}): a download that broke off, or another one; fetch it again from "
            f"{archive.url}, or unpack it yourself and name the unpacked folder with "
            f"{setting('data.manual_dir')}"
        )


def _unpack_one(path: Path, target: Path, directory: str | Path) -> None:
    """Unpack one archive; a damaged one that was downloaded is deleted, and fetched again."""
    try:
        _extract(path, target)
    except _DAMAGED as error:
        remedy = f"fetch it again, or name the unpacked folder with {setting('data.manual_dir')}"
        if _was_fetched(path, directory):
            path.unlink()
            remedy = f"it is deleted: try again, or {remedy}"
        raise UserError(
            f"{path}: not a whole {path.suffix[1:]} archive ({error}); {remedy}"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be unpacked to {target}: {error}") from None


def _extract(path: Path, target: Path) -> None:
    """Extract all members, none of them outside of the target."""
    with (
        path.open("rb") as raw,
        ProgressBar(f"unpacking {path.name}", path.stat().st_size, stderr=True) as bar,
    ):
        if path.suffix == ".zip":
            with zipfile.ZipFile(raw) as zipped:
                for one in sorted(zipped.infolist(), key=lambda one: one.header_offset):
                    zipped.extract(one, target)
                    bar.advance(one.header_offset + one.compress_size)
        else:
            with tarfile.open(fileobj=raw) as tape:
                for member in tape:
                    tape.extract(member, target, filter="data")
                    bar.advance(raw.tell())
    target.mkdir(parents=True, exist_ok=True)  # of an empty archive, too
