"""Arrow's pool is put back, also after an error."""

from __future__ import annotations

import pyarrow as pa
import pytest

from holdfast.artifacts.memory import given_back


def test_the_pool_is_the_systems_in_the_block_alone():
    before = pa.default_memory_pool().backend_name
    with given_back():
        assert pa.default_memory_pool().backend_name in ("jemalloc", "system")
        with given_back():
            pass
        assert pa.default_memory_pool().backend_name in ("jemalloc", "system")
    assert pa.default_memory_pool().backend_name == before
    with pytest.raises(ZeroDivisionError), given_back():
        raise ZeroDivisionError
    assert pa.default_memory_pool().backend_name == before
