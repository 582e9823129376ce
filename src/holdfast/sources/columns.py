"""Declared columns -> canonical columns: what a cell means, the same on every engine and from every format.

number   int64 at the column's declared scale (fixed point, DESIGN 3.9)
boolean  int64, 0 or 1
category, text   string, empty is null
time     timestamp (UTC, no zone)
"""

from __future__ import annotations

from typing import Any

import ibis

from holdfast.config.data import Column

TRUE = ("true", "t", "yes", "y", "1")
FALSE = ("false", "f", "no", "n", "0")


def as_text(raw: Any) -> Any:
    """Text of a cell; blank is null."""
    return raw.cast("string").strip().nullif("")


def as_time(raw: Any) -> Any:
    """A UTC timestamp; null where the cell is not a time."""
    if raw.type().is_timestamp() or raw.type().is_date():
        return raw.cast("timestamp(6)")
    return as_text(raw).try_cast("timestamp(6)")


def as_fixed(raw: Any, scale: int) -> Any:
    """An int64 count of ``10**-scale`` units; null where the cell is not a finite number in range."""
    decimal = f"decimal(18, {scale})"
    value = raw.try_cast(decimal) if raw.type().is_numeric() else as_text(raw).try_cast(decimal)
    return (value.cast(f"decimal(38, {scale})") * ibis.literal(10**scale).cast("decimal(7, 0)")).cast("int64")


def as_boolean(raw: Any) -> Any:
    """1 or 0; null where the cell is neither (TRUE, False, yes, n, 1, … are understood)."""
    if raw.type().is_boolean():
        return raw.cast("int64")
    word = as_text(raw).lower()
    return ibis.cases((word.isin(TRUE), 1), (word.isin(FALSE), 0), else_=None).cast("int64")


def canonical(raw: Any, column: Column) -> Any:
    """The canonical expression of a declared column."""
    match column.type:
        case "number":
            return as_fixed(raw, column.scale)
        case "boolean":
            return as_boolean(raw)
        case "time":
            return as_time(raw)
        case _:
            return as_text(raw)
