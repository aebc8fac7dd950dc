import errno
import hashlib
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gcn_jax.data.builders.download import Archive, fetch
from gcn_jax.data.builders.unpacking import unpack
from gcn_jax.errors import UserError
from tests.helpers.published_data import Unreliable, serve


def download_archive(archive, directory):
    """Download and unpack; the folder "inside"."""
    return unpack([(fetch(archive, directory), archive)], directory) / "inside"


@pytest.fixture
def unreliable(tmp_path):
    """A server of an archive of about 150,000 bytes that breaks off after 100,000 each time."""
    noise = np.random.default_rng(0).bytes(150_000)
    (tmp_path / "noise").write_bytes(noise)
    with tarfile.open(tmp_path / "packed.tgz", "w:gz") as archive:
        archive.add(tmp_path / "noise", "inside/noise")
    content = (tmp_path / "packed.tgz").read_bytes()
    assert 150_000 < len(content) < 160_000

    class Handler(Unreliable):
        asked = []

    Handler.content = content
    return Handler


def test_download_goes_on_where_it_broke_off(tmp_path, unreliable):
    checksum = f"sha256:{hashlib.sha256(unreliable.content).hexdigest()}"
    with serve(tmp_path, unreliable) as url:
        archive = Archive(f"{url}/packed.tgz", checksum)
        with pytest.raises(UserError, match=r"packed.tgz: the download failed"):
            download_archive(archive, str(tmp_path))
        (part,) = (tmp_path / "downloads").iterdir()
        assert part.name == "packed.tgz.part"
        folder = download_archive(archive, str(tmp_path))
        download_archive(archive, str(tmp_path))  # is there
    assert unreliable.asked == [None, "bytes=65536-"]  # a whole number of chunks
    assert (folder / "noise").read_bytes() == (tmp_path / "noise").read_bytes()
    assert not part.exists()


def test_part_of_another_archive_is_thrown_away(tmp_path, unreliable):
    checksum = f"sha256:{hashlib.sha256(unreliable.content).hexdigest()}"
    (tmp_path / "downloads").mkdir()
    part = tmp_path / "downloads/packed.tgz.part"
    for length in (120_000, 500_000):  # more comes after it, or nothing
        part.write_bytes(bytes(length))
        with serve(tmp_path, unreliable) as url:
            archive = Archive(f"{url}/packed.tgz", checksum)
            with pytest.raises(UserError, match="the download failed .*hash"):
                download_archive(archive, str(tmp_path))
        assert not part.exists()


class Slow(Unreliable):
    """Serves all of its content, after a while."""

    def do_GET(self):
        self.asked.append(self.headers["Range"])
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        for start in range(0, len(self.content), 40_000):
            time.sleep(0.2)
            self.wfile.write(self.content[start : start + 40_000])


@pytest.mark.parametrize("with_checksum", [True, False])
def test_of_two_runs_at_once_one_downloads(tmp_path, unreliable, with_checksum):
    class Handler(Slow):
        asked = []
        content = unreliable.content

    checksum = f"sha256:{hashlib.sha256(Handler.content).hexdigest()}" if with_checksum else None
    with serve(tmp_path, Handler) as url, ThreadPoolExecutor(2) as pool:
        archive = Archive(f"{url}/packed.tgz", checksum)
        runs = [pool.submit(download_archive, archive, str(tmp_path)) for _ in range(2)]
        first, second = (run.result() for run in runs)
    assert first == second
    assert (first / "noise").read_bytes() == (tmp_path / "noise").read_bytes()
    assert Handler.asked == [None]


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "packed.tar", "w") as archive:
        archive.add(__file__, "inside/file")

    def fill_disk(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extract", fill_disk)
    with serve(tmp_path) as url:
        archive = Archive(f"{url}/packed.tar")
        with pytest.raises(UserError, match="packed.tar: .*No space left on device"):
            download_archive(archive, str(tmp_path / "data"))
        monkeypatch.undo()
        assert (download_archive(archive, str(tmp_path / "data")) / "file").exists()


def test_without_a_checksum_a_download_starts_again(tmp_path, unreliable):
    with serve(tmp_path, unreliable) as url:
        archive = Archive(f"{url}/packed.tgz")
        for _ in range(2):
            with pytest.raises(UserError, match="the download failed"):
                download_archive(archive, str(tmp_path))
    assert unreliable.asked == [None, None]
    assert not list((tmp_path / "downloads").iterdir())
