"""Arrays are read one at a time."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gcn_jax.data.npy import load_npy, map_npy


def test_headers_are_parsed_in_one_thread_at_a_time(monkeypatch, tmp_path):
    inside, most = [], []

    def slow(*args, **kwargs):
        inside.append(threading.get_ident())
        time.sleep(0.01)
        most.append(len(inside))
        inside.pop()
        return np.zeros(2)

    monkeypatch.setattr(np, "load", slow)
    monkeypatch.setattr(np.lib.format, "open_memmap", slow)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda read: read(tmp_path), 6 * [load_npy, map_npy]))
    assert most == [1] * 12


def test_what_was_saved_is_read(tmp_path):
    array = np.arange(24, dtype="uint16").reshape(2, 3, 4)
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(load_npy(tmp_path / "a.npy"), array)
    mapped = map_npy(tmp_path / "a.npy")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, array)
    np.testing.assert_array_equal(load_npy(io.BytesIO((tmp_path / "a.npy").read_bytes())), array)
