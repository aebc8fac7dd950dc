"""Memory that a compilation freed is not kept through a run."""

import ctypes
import sys

import psutil
import pytest

from gcn_jax.training.devices import give_back_freed_memory

_MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_freed_memory_goes_back_to_the_system():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    process = psutil.Process()
    # Small blocks, of which each tenth stays in use: the heap cannot shrink from its end.
    blocks = [libc.malloc(64 * 1024) for _ in range(4096)]
    for block in blocks:
        ctypes.memset(block, 1, 64 * 1024)
    for index, block in enumerate(blocks):
        if index % 10:
            libc.free(block)
    before = process.memory_info().rss
    give_back_freed_memory()
    assert before - process.memory_info().rss > 180 * _MIB
    for block in blocks[::10]:
        libc.free(block)
