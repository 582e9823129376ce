"""Memory, where a process is as large as what it reads."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa


@contextmanager
def given_back() -> Iterator[None]:
    """In this block Arrow gives memory back to the system at once; its own pool, and malloc, would keep much of it."""
    before = pa.default_memory_pool()
    pa.set_memory_pool(_frugal())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def trim() -> None:
    """Give back what freed objects of C libraries took: pools keep it for each thread that asked for it."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux" and (function := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        function(0)


def _frugal() -> pa.MemoryPool:
    try:
        pool = pa.jemalloc_memory_pool()
    except NotImplementedError:  # Arrow was built without
        return pa.system_memory_pool()
    pa.jemalloc_set_decay_ms(0)
    return pool
