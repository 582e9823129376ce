"""A column of a declared table, and what is checked of its cells."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Literal

from pydantic import Field, field_validator, model_validator

from holdfast.config.base import Section

ColumnType = Literal["number", "category", "boolean", "time", "text"]

CheckName = Literal[
    "type", "missing", "range", "allowed", "unique", "foreign_key", "order", "overlap", "conflict", "future", "outside"
]
"""What is checked of a table's rows.

type         a cell is not of its declared type, or has no time zone where others of its column have one
missing      no value where one is needed (keys, times, ``nullable: false``, when a known end became known)
range        below ``min`` or above ``max``; an event before the year 1900
allowed      not one of ``allowed``
unique       a value of a ``unique`` column, or a customer of a one-row-per-customer table, comes more than once
foreign_key  a row of a customer that the customers table does not have
order        an end before its start, a valid_to before its valid_from
overlap      two versions of a customer's history hold at the same time
conflict     one id with different content available at the same instant
future       an event, start or version later than tomorrow, by the clock of the machine
outside      an event before the customer's start or after their end
"""

OnViolation = Literal["error", "warn", "drop"]
"""``error`` refuses the table; ``warn`` counts and keeps; ``drop`` counts and leaves the rows out of everything.

A cell of a nullable column that is not of its type becomes null and its row stays, dropped or warned. Rows that cannot
be kept are left out by ``warn`` as by ``drop``: without a customer, a time or its availability, before 1900, in
conflict, or several of a customer where there may be one. Of rows in conflict or overlapping none is right, so all of
them go.
"""

DEFAULT_CHECKS: dict[CheckName, OnViolation] = {"foreign_key": "warn", "outside": "warn"}
"""Every other check is an error by default."""

COLUMN_CHECKS: frozenset[CheckName] = frozenset({"type", "missing", "range", "allowed", "unique"})

TRUE = ("true", "t", "yes", "y", "1")
FALSE = ("false", "f", "no", "n", "0")
"""The words for a boolean, in cells as in configuration; case does not matter."""


class Column(Section):
    """A declared column of a source table."""

    type: ColumnType
    scale: int = Field(default=2, ge=0, le=6)
    """Decimal digits of a number; sums are exact at this scale."""
    nullable: bool = True
    min: float | None = None
    max: float | None = None
    allowed: list[str] | None = None
    """Allowed values; others are a data error. Leave out to accept new categories."""
    unique: bool = False
    """No value comes twice (nulls aside)."""
    checks: dict[CheckName, OnViolation] = Field(default_factory=dict)
    """What to do about violations in this column; by default what the table says."""

    @model_validator(mode="after")
    def _bounds_fit(self) -> Column:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.type != "number" and (self.min is not None or self.max is not None):
            raise ValueError(f"min and max are for numbers, not for a {self.type}")
        for word in self.allowed or []:
            self.stored(word)
        return self

    @field_validator("checks")
    @classmethod
    def _of_a_column(cls, checks: dict[CheckName, OnViolation]) -> dict[CheckName, OnViolation]:
        return only(checks, COLUMN_CHECKS, "a column")

    def stored(self, word: str) -> str | int:
        """A value written in configuration as the canonical table holds it (`holdfast.sources.columns`).

        >>> Column(type="number", scale=2).stored("1.5")
        150

        Raises
        ------
        ValueError
            ``word`` is no value of this type, or the column is a time.
        """
        text = word.strip()
        match self.type:
            case "number":
                try:
                    units = Decimal(text).scaleb(self.scale).quantize(Decimal(1), ROUND_HALF_UP)
                except InvalidOperation as e:
                    raise ValueError(f"{word!r} is not a number") from e
                return int(units)
            case "boolean":
                if text.lower() in (*TRUE, *FALSE):
                    return int(text.lower() in TRUE)
                raise ValueError(f"{word!r} is neither true nor false")
            case "time":
                raise ValueError("a time cannot be chosen by its value")
            case _:
                return text


def only(checks: dict[CheckName, OnViolation], known: frozenset[CheckName], what: str) -> dict[CheckName, OnViolation]:
    """The checks, all of which must be known of ``what``.

    Raises
    ------
    ValueError
        Others are among them.
    """
    if odd := sorted(set(checks) - known):
        raise ValueError(f"{', '.join(odd)} is no check of {what}; it has {', '.join(sorted(known))}")
    return checks


class Attribute(Column):
    """A column of the customers table."""

    known_at: Literal["start", "extract"] = "extract"
    """``start``: fixed when the customer starts. ``extract``: end-state, known only as of the extract."""
