"""States of rows and how they combine; each is exact, so no result depends on order, threads or engine (DESIGN 3.9)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import ibis

from holdfast.config.expression import Expression
from holdfast.features.knowledge import instant
from holdfast.features.plan import State, Where

WIDE = "decimal(38, 0)"  # 128-bit integers on every engine
SUMS = ("n", "nv", "s", "ss", "y", "by")
"""States that add up; of nothing they are zero."""
WIDE_SUMS = ("s", "ss", "y", "by")
SMALLEST = ("mn", "low", "fi")

VALUES = 1 << 64
"""A key of time and value is ``microseconds * VALUES + value + VALUES / 2``: it sorts by time, then by value."""
FIRST_TIME = datetime(1, 1, 1, tzinfo=UTC)


def chosen(table: Any, where: Where) -> Any:
    """Which rows count; None where all do."""
    found: Any = None
    for column, values in where:
        one = table[column].isin(list(values)).fill_null(False)
        found = one if found is None else found & one
    return found


def both(left: Any, right: Any) -> Any:
    """The conjunction of two conditions, either of which may be None."""
    return right if left is None else left if right is None else left & right


def of_rows(rows: Any, state: State, inside: Any = None) -> Any:
    """A state of event rows, of those ``inside`` where given."""
    where = both(inside, chosen(rows, state.where))
    match state.kind:
        case "n":
            return rows.count(where=where)
        case "low":
            return rows.event_time.min(where=where)
        case "high":
            return rows.event_time.max(where=where)
    value = rows[state.column]
    match state.kind:
        case "nv":
            return value.count(where=where)
        case "s":
            return value.sum(where=where).cast(WIDE)
        case "ss":
            wide = value.cast(WIDE)
            return (wide * wide).sum(where=where).cast(WIDE)
        case "mn":
            return value.min(where=where)
        case "mx":
            return value.max(where=where)
        case "fi":
            return key(rows.event_time, value).min(where=where)
        case "la":
            return key(rows.event_time, value).max(where=where)
        case "u":
            return value.nunique(where=where)
    raise AssertionError(state.kind)


def combine(column: Any, kind: str, where: Any = None) -> Any:
    """A state of several buckets together."""
    if kind in SUMS:
        return column.sum(where=where)
    return column.min(where=where) if kind in SMALLEST else column.max(where=where)


def join(columns: list[Any], kind: str) -> Any:
    """A state of a few buckets that stand in one row; unknown ones are left out."""
    if len(columns) == 1:
        return columns[0]
    if kind in SUMS:
        total = columns[0].fill_null(0)
        for column in columns[1:]:
            total = total + column.fill_null(0)
        return total
    return ibis.least(*columns) if kind in SMALLEST else ibis.greatest(*columns)


def settled_type(value: Any, kind: str) -> Any:
    """A sum as it is kept: zero where there is nothing, of a type that engines agree on."""
    if kind in WIDE_SUMS:
        value = value.cast(WIDE)
    return value.fill_null(0) if kind in SUMS else value


def key(time: Any, value: Any) -> Any:
    """Time and value in one integer that sorts by both; null where the value is."""
    micros = time.delta(instant(FIRST_TIME), unit="microsecond").cast(WIDE)
    return micros * ibis.literal(VALUES, WIDE) + (value.cast(WIDE) + ibis.literal(VALUES // 2, WIDE))


def value_of(packed: Any) -> Any:
    """The value in a key."""
    return packed % ibis.literal(VALUES, WIDE) - ibis.literal(VALUES // 2, WIDE)


def evaluated(rows: Any, e: Expression) -> Any:
    """An expression over canonical columns, in units of its scale."""
    if e.operator == "column":
        return rows[f"c_{e.name}"].cast(WIDE)
    if e.operator == "constant":
        return ibis.literal(e.units, WIDE)
    assert e.left is not None
    assert e.right is not None
    left, right = evaluated(rows, e.left), evaluated(rows, e.right)
    if e.operator == "*":
        return left * right
    left, right = (_rescaled(side, e.scale - of.scale) for side, of in ((left, e.left), (right, e.right)))
    return left + right if e.operator == "+" else left - right


def _rescaled(value: Any, digits: int) -> Any:
    return value * ibis.literal(10**digits, WIDE) if digits else value
