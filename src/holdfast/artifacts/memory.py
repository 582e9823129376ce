"""Memory, where a process is as large as what it reads."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

M_MMAP_THRESHOLD = -3
LARGE = 1024**2


@contextmanager
def given_back() -> Iterator[None]:
    """In this block Arrow gives memory back to the system at once; its own pool, and malloc, would keep much of it.

    From here on malloc does the same with what is large: left alone, it learns to keep what it once was asked for.
    """
    before = pa.default_memory_pool()
    pa.set_memory_pool(_frugal())
    if (mallopt := _glibc("mallopt")) is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def trim() -> None:
    """Give back what freed objects of C libraries took: pools keep it for each thread that asked for it."""
    pa.default_memory_pool().release_unused()
    if (malloc_trim := _glibc("malloc_trim")) is not None:
        malloc_trim(0)


def _glibc(name: str) -> Any:
    """A function of the GNU C library; None where there is another."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def _frugal() -> pa.MemoryPool:
    try:
        pool = pa.jemalloc_memory_pool()
    except NotImplementedError:  # Arrow was built without
        return pa.system_memory_pool()
    pa.jemalloc_set_decay_ms(0)
    return pool
