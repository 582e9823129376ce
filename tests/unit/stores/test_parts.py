"""Rows written a batch at a time are the bytes of rows written in one piece, and are refused for the same reasons."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import DataError
from holdfast.stores import parts

AT = datetime(2024, 3, 1, tzinfo=UTC)
SCHEMA = pa.schema([("customer_id", pa.string()), ("cutoff", pa.timestamp("us")), ("x", pa.list_(pa.float64()))])


def rows_of(ids, at=AT):
    values = [[float(k), 1 / 3] if k % 3 else None for k in range(len(ids))]
    return pa.table([pa.array(ids, pa.string()), [at.replace(tzinfo=None)] * len(ids), values], schema=SCHEMA)


@given(n=st.integers(0, 40), size=st.integers(1, 9), group=st.integers(1, 12))
def test_evenly_keeps_rows_and_order(n, size, group):
    table = rows_of([f"c{k:03}" for k in range(n)])
    batches = list(parts.evenly(table.to_batches(max_chunksize=size), SCHEMA, group))
    assert pa.Table.from_batches(batches).equals(table)
    assert [len(b) for b in batches] == ([group] * (n // group) + ([n % group] if n % group else []) or [0])


@pytest.mark.parametrize("n", [0, 1, 99, 100, 101, 350])
def test_the_same_bytes_as_in_one_piece(tmp_path, monkeypatch, n):
    monkeypatch.setattr(parts, "ROW_GROUP", 100)
    table = rows_of([f"c{k:04}é" for k in range(n)])
    assert parts.write_part(tmp_path / "one", table.take(pa.array(range(n)[::-1], pa.int64())), SCHEMA, AT) == n
    batches = parts.evenly(table.to_batches(max_chunksize=7), SCHEMA, 100)
    assert parts.write_ordered(tmp_path / "many", batches, SCHEMA, AT) == n
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()


@pytest.mark.parametrize(
    "second",
    [
        rows_of(["b", "c"]),
        rows_of(["a", "c"]),
        rows_of([None, "c"]),
        rows_of(["c", "d"], datetime(2024, 3, 2, tzinfo=UTC)),
    ],
    ids=["repeated", "not in order", "null", "another cutoff"],
)
def test_what_does_not_belong_is_refused_and_nothing_is_left(tmp_path, second):
    batches = [*rows_of(["a", "b"]).to_batches(), *second.to_batches()]
    with pytest.raises(DataError, match="refused a table"):
        parts.write_ordered(tmp_path / "part", batches, SCHEMA, AT)
    assert list(tmp_path.iterdir()) == []
