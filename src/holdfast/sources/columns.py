"""Declared columns -> canonical columns: what a cell means, the same on every engine and from every format.

number   int64 at the column's declared scale (fixed point, DESIGN 3.9); digits beyond it are rounded half away
         from zero, of a float as of the shortest decimal that reads back as it: 0.285 is 0.29 in Parquet and in CSV
boolean  int64, 0 or 1
category, text   string, empty is null
time     timestamp (UTC, no zone); an offset or zone is converted, without one it is UTC
"""

from __future__ import annotations

from typing import Any

import ibis

from holdfast.config.data import FALSE, TRUE, Column

ZONED = r"[A-Za-z]$|:.*[+-]"
"""A time that ends in Z or a zone's name, or has an offset after its hours; a plain cast would drop them."""

NEAR_TIE = 1e-3
SURE_UNITS = 1e12  # below it, the error of ``float * 10**scale`` is well under NEAR_TIE


def as_text(raw: Any) -> Any:
    """Text of a cell; blank is null. A whole float reads as the integer it is: ids with gaps come as floats."""
    if raw.type().is_floating():
        whole = raw == raw.try_cast("int64").cast("float64")
        return whole.fill_null(False).ifelse(raw.try_cast("int64").cast("string"), raw.cast("string").nullif("nan"))
    return raw.cast("string").strip().nullif("")


def as_time(raw: Any) -> Any:
    """A UTC timestamp; null where the cell is not a time."""
    if raw.type().is_timestamp() or raw.type().is_date():
        return raw.cast("timestamp(6)")
    text = as_text(raw)
    zoned = text.try_cast("timestamp('UTC', 6)").cast("timestamp(6)")
    return text.re_search(ZONED).ifelse(zoned, text.try_cast("timestamp(6)"))


def as_fixed(raw: Any, scale: int) -> Any:
    """An int64 count of ``10**-scale`` units; null where the cell is not a finite number in range."""
    decimal = f"decimal(18, {scale})"
    if raw.type().is_floating():
        # binary noise decides only near a tie, and text is slow: only there is the decimal read
        units = raw.cast("float64") * float(10**scale)
        off = (units - units.try_cast("int64").cast("float64")).abs()  # null where it is no number in range
        near = ((off > 0.5 - NEAR_TIE) | (units.abs() >= SURE_UNITS)).fill_null(True)
        spelled = raw.cast("string").try_cast(decimal)
        value = spelled if raw.type().is_float32() else near.ifelse(spelled, raw.try_cast(decimal))
    else:
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
