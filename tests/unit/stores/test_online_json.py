"""Texts and hashes of Arrow columns are of their content: what Python's json writes, and nothing else counts."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.stores.online_digest import feed
from holdfast.stores.online_json import json_lists, json_objects

TYPE = pa.struct([("text", pa.string()), ('"number', pa.float64())])
ROW = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(max_size=9),
        '"number': st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-99, 99).map(float),
    }
).map(lambda row: {field.name: row[field.name] for field in TYPE})
LISTS = st.lists(st.none() | st.lists(ROW, max_size=4), max_size=9)


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def digest(array: pa.Array) -> str:
    found = hashlib.sha256()
    feed(found, array)
    return found.hexdigest()


@settings(deadline=None)
@given(st.lists(ROW, max_size=9), st.integers(0, 3))
def test_objects_are_what_python_writes(rows: list[dict[str, Any]], start: int) -> None:
    table = pa.Table.from_pylist(rows, schema=pa.schema(list(TYPE))).combine_chunks()
    columns = {n: table.column(n).combine_chunks().slice(start) for n in table.column_names}
    assert json_objects(columns).to_pylist() == [dumps(row) for row in rows[start:]]


@settings(deadline=None)
@given(LISTS, st.integers(0, 3))
def test_lists_are_what_python_writes_and_a_null_one_is_empty(lists: list[Any], start: int) -> None:
    array = pa.array(lists, pa.list_(TYPE)).slice(start)
    assert json_lists(array).to_pylist() == [dumps(rows or []) for rows in lists[start:]]


@settings(deadline=None)
@given(LISTS, LISTS, st.integers(0, 3))
def test_hashes_are_equal_where_the_content_is(one: list[Any], other: list[Any], start: int) -> None:
    kind = pa.list_(TYPE)
    sliced = pa.array([[{"text": "before"}]] * start + one + other, kind).slice(start, len(one))
    assert digest(sliced) == digest(pa.array(one, kind))
    texts = [[dumps(rows or []) for rows in lists] for lists in (one, other)]
    assert (digest(sliced) == digest(pa.array(other, kind))) == (texts[0] == texts[1])


def test_what_lies_under_a_null_does_not_count() -> None:
    valid = pa.py_buffer(b"\x05")
    hidden = pa.Array.from_buffers(pa.int64(), 3, [valid, pa.py_buffer(b"\x01" * 24)])
    shown = pa.Array.from_buffers(pa.int64(), 3, [valid, pa.py_buffer(b"\x01" * 8 + b"\x02" * 8 + b"\x01" * 8)])
    assert digest(hidden) == digest(shown)
    assert digest(pa.array(["", None])) != digest(pa.array([None, ""]))
