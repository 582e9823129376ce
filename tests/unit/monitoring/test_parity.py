"""Served, stored, computed: what differs is found, on whichever side, and named once."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.monitoring.parity import Difference, ParityReport, differences, same

FLOATS = st.floats(allow_nan=False)
VALUES = st.one_of(st.none(), FLOATS, st.text(max_size=3), st.lists(st.dictionaries(st.sampled_from("ab"), FLOATS)))
ROWS = st.dictionaries(
    st.sampled_from(["c1", "c2", "c3"]), st.fixed_dictionaries({"x": VALUES, "y": VALUES}), min_size=1
)  # fmt: skip


def test_floats_are_the_same_bit_for_bit() -> None:
    assert same(0.1, 0.1)
    assert not same(0.0, -0.0)
    assert not same(0.1, struct.unpack("<d", struct.pack("<q", struct.unpack("<q", struct.pack("<d", 0.1))[0] + 1))[0])
    assert same([{"a": 0.5, "b": None}], [{"b": None, "a": 0.5}])
    for one, other in ((1, 1.0), ("1", 1), (None, 0.0), ([0.5], [0.5, 0.5]), ({"a": 1}, {"b": 1}), ("ab", ["a", "b"])):
        assert not same(one, other)


@given(rows=ROWS)
def test_the_same_three_times_has_no_differences(rows: dict[str, dict[str, Any]]) -> None:
    assert differences(rows, rows, rows) == ([], {})


@given(rows=ROWS, data=st.data())
def test_one_value_that_differs_is_the_one_found(rows: dict[str, dict[str, Any]], data: st.DataObject) -> None:
    customer = data.draw(st.sampled_from(sorted(rows)))
    column = data.draw(st.sampled_from(["x", "y"]))
    was = rows[customer][column]
    other = data.draw(VALUES.filter(lambda v: not same(v, was)))
    changed = {**rows, customer: {**rows[customer], column: other}}
    (found,), _ = differences(changed, rows, rows)
    assert (found.customer_id, found.column, found.wrong) == (customer, column, "online")
    assert same([found.served, found.expected], [other, was])
    (found,), _ = differences(rows, rows, changed)
    assert (found.customer_id, found.column, found.wrong) == (customer, column, "offline")
    (found,), _ = differences(rows, {c: {} for c in rows}, changed)  # nothing was stored: the table's word stands
    assert found.wrong == "online"
    assert differences(rows, rows, changed, excused=True) == ([], {column: 1})
    (found,), _ = differences(changed, rows, rows, excused=True)  # never what was not even stored
    assert found.wrong == "online"


def test_rows_that_are_missing_or_broken() -> None:
    found, _ = differences({"b": None}, {"a": {"x": 1.0}, "b": {"x": 1.0}}, {"c": {"x": 1.0}})
    assert [(d.customer_id, d.column, d.wrong) for d in found] == [
        ("a", "customer", "online"), ("b", "customer", "online"), ("c", "customer", "offline"),
    ]  # fmt: skip


def test_a_report_names_columns_and_only_its_problems_name_customers() -> None:
    found = tuple(Difference(f"SECRET-{n}", column, "online", float(n), None) for column in "abcdefg" for n in range(7))
    report = ParityReport("g", datetime(2024, 3, 1, tzinfo=UTC), "3", 1000, 200, found, ("why",))
    problem, *others = report.problems()
    assert len(others) == 6
    assert (problem.where, problem.count, len(problem.examples)) == ("a", 7, 5)
    assert problem.examples[0] == "SECRET-0: served 0.0, expected None"
    assert report.summary == "7 of 200 customers sampled differ in a, b, c, d, e and 2 more"
    assert report.to_json()["differences"][0] == {"column": "a", "wrong": "online", "customers": 7}
    assert "SECRET" not in str(report.to_json())
    clean = ParityReport("g", report.cutoff, "3", 1000, 200, (), ())
    assert (clean.problems(), clean.summary) == ([], "200 of 1,000 customers sampled, all served as they should be")


def test_contributions_alone_may_round_otherwise():
    one, other = ([{"feature": "x", "value": "3", "contribution": c}] for c in (0.25, 0.25 + 4e-8))
    assert not same(one, other)
    assert same(one, other, apart=1e-6)
    assert not same(one, [{**other[0], "contribution": 0.2501}], apart=1e-6)
    assert not same(one, [{**other[0], "value": "4"}], apart=1e-6)
    assert not same(0.25, 0.25 + 4e-8, apart=1e-6)
