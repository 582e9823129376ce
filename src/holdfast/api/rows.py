"""Feature rows that clients bring: checked against the bundle's schema, with a readable difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from holdfast.artifacts.schema import FeatureSchema
from holdfast.errors import MAX_PROBLEMS, MAX_VALUE_CHARS, DataError, Problem, did_you_mean
from holdfast.models.estimator import Matrix

FLOAT32_MAX = float(np.finfo(np.float32).max)
WHERE = "body.rows"


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


@dataclass(frozen=True)
class Brought:
    """Rows that fit a schema, as `holdfast.models.encode.Encoder.encode` takes them.

    Attributes
    ----------
    numbers : (n, k) the number features, in the schema's order; NaN where unknown
    words : (n,) of each category feature, by name
    """

    schema: FeatureSchema
    numbers: Matrix
    words: Mapping[str, pa.Array]

    @classmethod
    def of(cls, schema: FeatureSchema, values: Mapping[str, float | str | None]) -> Self:
        """One row of values by name, such as the store holds.

        Raises
        ------
        KeyError, ValueError, TypeError
            They are not of this schema.
        """
        numbers = np.array([[values[f.name] for f in schema if f.kind == "number"]], dtype=np.float32)
        words = {f.name: pa.array([values[f.name]], pa.string()) for f in schema if f.kind == "category"}
        return cls(schema, numbers, words)

    def shown(self) -> list[list[float | str | None]]:
        """Each row's values in the schema's order, as people read them; None where unknown or infinite."""
        # as `as_values` says a float32; all at once, since Arrow takes longer to be called than to work
        said = pa.array(self.numbers.ravel(), pa.float32()).cast(pa.string()).cast(pa.float64()).to_numpy()
        rows: list[list[float | str | None]] = [
            [value if -math.inf < value < math.inf else None for value in row]
            for row in said.reshape(self.numbers.shape).tolist()
        ]
        for at, feature in enumerate(self.schema):
            if feature.kind == "category":
                for row, word in zip(rows, self.words[feature.name].to_pylist(), strict=True):
                    row.insert(at, word)  # all before it are there already
        return rows


def brought(rows: Sequence[Mapping[str, Any]], schema: FeatureSchema) -> Brought:
    """The rows in the schema's types.

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
    numbers = [f.name for f in schema if f.kind == "number"]
    matrix, words = None, {}
    if not difference.problems:
        matrix = _plain_numbers(rows, numbers)
        if matrix is None:
            columns = [_column(name, _not_number, "number", rows, difference) for name in numbers]
            # through float: whole numbers that a float32 must round were rounded in the training data too
            matrix = np.array(columns, dtype=np.float64).T.astype(np.float32)
        texts = [f.name for f in schema if f.kind == "category"]
        words = {name: pa.array(_column(name, _not_text, "text", rows, difference), pa.string()) for name in texts}
    if (problems := difference.problems) or matrix is None:
        raise DataError("the rows do not fit the model's features; GET /v1/features lists them", problems)
    return Brought(schema, matrix, words)


def _plain_numbers(rows: Sequence[Mapping[str, Any]], names: list[str]) -> Matrix | None:
    """The values as a matrix, if all are numbers that fit or null; None if any must be looked at more closely."""
    values = [[row[name] for name in names] for row in rows]
    if not {type(value) for row in values for value in row} <= _NUMBERS:
        return None
    try:
        found = np.array(values, dtype=np.float64).reshape(len(rows), len(names))
    except OverflowError:  # a whole number larger than any float
        return None
    unknown = np.isnan(found)
    nulls = sum(row.count(None) for row in values)  # JSON as Python reads it has NaN, which is not null
    if np.count_nonzero(unknown) != nulls or not np.all(unknown | (np.abs(found) <= FLOAT32_MAX)):
        return None
    return found.astype(np.float32)


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


def _column(
    name: str, wrong: Callable[[Any], str], wanted: str, rows: Sequence[Mapping[str, Any]], difference: Difference
) -> list[Any]:
    values = [row[name] for row in rows]
    for i, value in enumerate(values):
        if value is not None and (what := wrong(value)):
            difference.say(i, name, what, f"Give a {wanted}, or null if it is unknown.")
            values[i] = None
    return values


_NUMBERS = {int, float, NoneType}
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
