"""Feature rows that clients bring: checked against the bundle's schema, with a readable difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.errors import MAX_PROBLEMS, MAX_VALUE_CHARS, DataError, Problem, did_you_mean

FLOAT32_MAX = float(np.finfo(np.float32).max)
WHERE = "body.rows"
_NUMBER = pa.float32()


class Difference:
    """What is wrong, once for each feature and fault, with its first row and how many rows have it."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[int, str]] = {}
        self._count: dict[tuple[str, str], int] = {}

    def say(self, row: int, name: str, what: str, fix: str) -> None:
        key = (name, what)
        if key not in self._found:
            self._found[key] = (row, fix)
        self._count[key] = self._count.get(key, 0) + 1

    @property
    def full(self) -> bool:
        """Whether more would not be shown; looking for close names among thousands takes long."""
        return len(self._found) > MAX_PROBLEMS

    @property
    def problems(self) -> list[Problem]:
        return [
            Problem(f"{WHERE}[{row}].{name}", what, fix, count=self._count[name, what])
            for (name, what), (row, fix) in self._found.items()
        ]


def table_of(rows: Sequence[Mapping[str, Any]], schema: FeatureSchema) -> pa.Table:
    """The rows as a table of the schema's columns and types.

    Parameters
    ----------
    rows : as JSON gave them; every feature must be there, null where unknown

    Raises
    ------
    DataError
        A feature is missing, unknown or of another type; says which, where, and the closest name.
    """
    difference = Difference()
    names = schema.names
    expected = set(names)
    for i, row in enumerate(rows):
        if row.keys() != expected:
            _compare(i, row, names, expected, difference)
        if difference.full:
            break
    values = [] if difference.problems else [_values(f, rows, difference) for f in schema]
    if problems := difference.problems:
        raise DataError("the rows do not fit the model's features; GET /v1/features lists them", problems)
    return pa.table(_columns(values, len(rows), schema), names=names)


def _columns(values: list[list[Any]], n: int, schema: FeatureSchema) -> list[pa.Array]:
    """Arrays of the schema's types. All numbers become one, cut in columns: for a single row, Arrow's price is by the
    array."""
    numbers = pa.array((v for f, some in zip(schema, values, strict=True) if f.kind == "number" for v in some), _NUMBER)
    starts = count(0, n)
    return [
        numbers.slice(next(starts), n) if f.kind == "number" else pa.array(some, f.arrow_type)
        for f, some in zip(schema, values, strict=True)
    ]


def _compare(i: int, row: Mapping[str, Any], names: list[str], expected: set[str], difference: Difference) -> None:
    for name in row:
        if name not in expected:
            known = name if len(name) <= MAX_VALUE_CHARS else name[:MAX_VALUE_CHARS] + "…"
            difference.say(i, known, "is not a feature of the model", did_you_mean(known, names))
        if difference.full:
            return
    for name in names:
        if name not in row:
            difference.say(i, name, "is missing", "Give null if it is unknown.")


def _values(feature: FeatureSpec, rows: Sequence[Mapping[str, Any]], difference: Difference) -> list[Any]:
    name = feature.name
    values = [row[name] for row in rows]
    wrong = _not_number if feature.kind == "number" else _not_text
    for i, value in enumerate(values):
        if value is not None and (what := wrong(value)):
            difference.say(i, name, what, f"Give a {_WANTED[feature.kind]}, or null if it is unknown.")
            values[i] = None
    if feature.kind == "number":
        # through float: Arrow refuses whole numbers that a float32 must round, and so did not the training data
        values = [None if v is None else float(v) for v in values]
    return values


_WANTED = {"number": "number", "category": "text"}
_JSON_WORDS = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def _not_number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is {_JSON_WORDS[type(value)]}, not a number"
    # JSON as Python reads it has NaN and infinities; whole numbers may be of any length
    return "" if -FLOAT32_MAX <= value <= FLOAT32_MAX else "is not a finite float32"


def _not_text(value: Any) -> str:
    if not isinstance(value, str):
        return f"is {_JSON_WORDS[type(value)]}, not text"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return ""
