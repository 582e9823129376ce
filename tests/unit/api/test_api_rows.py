"""Rows that clients bring, in memory."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from holdfast.api.body import StrictRequest
from holdfast.api.rows import FLOAT32_MAX, brought
from holdfast.errors import DataError
from serving_world import SCHEMA

NAMES = [f.name for f in SCHEMA if f.kind == "number"]
NUMBERS = st.none() | st.floats(-FLOAT32_MAX, FLOAT32_MAX) | st.integers(-(10**30), 10**30)
TEXTS = st.none() | st.text(max_size=4)
ROWS = st.lists(
    st.fixed_dictionaries({f.name: NUMBERS if f.kind == "number" else TEXTS for f in SCHEMA}), min_size=1, max_size=4
)


@given(rows=ROWS)
def test_values_are_float32_and_null_is_unknown(rows) -> None:
    found = brought(rows, SCHEMA)
    expected = np.array([[np.nan if r[n] is None else float(r[n]) for n in NAMES] for r in rows]).astype(np.float32)
    np.testing.assert_array_equal(found.numbers, expected)
    assert found.words["contract"].to_pylist() == [r["contract"] for r in rows]
    shown = list(found.shown())
    # the shortest decimal that is the float32
    assert [np.float32(np.nan if v is None else v) for v in shown[0][:3]] == pytest.approx(expected[0], nan_ok=True)
    assert [len(row) for row in shown] == [len(SCHEMA)] * len(rows)


@pytest.mark.parametrize("wrong", [True, "1.5", [1], {}, float("nan"), float("inf"), 1e39, -(10**400)])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_number_is_named_wherever_it_is(name: str, wrong: object) -> None:
    rows = [dict.fromkeys(SCHEMA.names), {**dict.fromkeys(SCHEMA.names), name: wrong}]
    with pytest.raises(DataError) as caught:
        brought(rows, SCHEMA)
    (problem,) = caught.value.problems
    assert problem.where == f"body.rows[1].{name}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def read(body: bytes) -> object:
    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    return asyncio.run(StrictRequest({"type": "http", "headers": []}, receive).json())


@given(value=JSON, ascii_only=st.booleans())
def test_bodies_are_read_as_pythons_own_reader_does(value, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        body = text.encode()
    except UnicodeEncodeError:  # a lone surrogate as itself
        return
    found = read(body)
    assert found == json.loads(text)
    assert json.dumps(found) == json.dumps(json.loads(text))  # 1 is not 1.0, nor -0.0 0.0


@pytest.mark.parametrize("body", [b'{"a:b": 1, "c": 1, "c": 2}', b'[{"x": {"c": null, "c": ":"}}]'])
def test_a_name_that_comes_twice_is_found_beside_colons_in_texts(body: bytes) -> None:
    with pytest.raises(HTTPException, match="'c' twice"):
        read(body)
