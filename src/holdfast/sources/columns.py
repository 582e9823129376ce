"""Declared columns -> canonical columns: what a cell means, the same on every engine and from every format.

number   int64 at the column's declared scale (fixed point, DESIGN 3.9); digits beyond it are rounded half away
         from zero, of a float as of the shortest decimal that reads back as it: 0.285 is 0.29 in Parquet and in CSV
boolean  int64, 0 or 1
category, text   string, empty is null
time     timestamp (UTC, no zone); an offset or zone is converted, a time without one is in the table's zone, and
         a date is midnight UTC. What lies after 9999-12-31 (infinity) is that day: never

Text is a time only in the year-month-day order, with or without zeros in front, on a clock of 24 hours:
``2024-3-1``, ``2024/03/01 9:05``, ``2024-03-01T09:05:00.25+01:00``, ``2024-03-01 09:05 Europe/Berlin``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import ibis

from holdfast.config.data import FALSE, TRUE, Column

_DATE = r"\d{4}(-\d{1,2}-\d{1,2}|/\d{1,2}/\d{1,2})"
_CLOCK = r"[T ] *([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_ZONE = r" *(Z|UTC|GMT|[+-](0\d|1[0-4])(:?[0-5]\d)?| [A-Za-z_]+(/[A-Za-z0-9_+-]+)+)"
ZONELESS = f"^{_DATE}({_CLOCK})?$"
ZONED = f"^{_DATE}{_CLOCK}{_ZONE}$"

NEVER, EVER = datetime(9999, 12, 31), datetime(1, 1, 2)  # noqa: DTZ001 - as tables hold them
"""What ``infinity`` and ``-infinity`` mean, and the last and first times there are."""

NEAR_TIE = 1e-3
SURE_UNITS = 1e12  # below it, the error of ``float * 10**scale`` is well under NEAR_TIE

LAST_BLANK = ord(" ")
"""Every character that is stripped comes before it, as do others."""


def as_text(raw: Any) -> Any:
    """Text of a cell; blank is null. A whole float reads as the integer it is: ids with gaps come as floats."""
    if raw.type().is_floating():
        whole = raw == raw.try_cast("int64").cast("float64")
        return whole.fill_null(False).ifelse(raw.try_cast("int64").cast("string"), raw.cast("string").nullif("nan"))
    text = raw.cast("string")
    # stripping is slow in DuckDB, and few cells begin or end with what it takes off (nor are they empty, which is 0)
    blank = (text.ascii_str() <= LAST_BLANK) | (text.right(1).ascii_str() <= LAST_BLANK)
    return blank.ifelse(text.strip().nullif(""), text)


def as_time(raw: Any) -> Any:
    """A timestamp, in UTC where the cell has a zone; null where it is not a time."""
    if raw.type().is_timestamp() or raw.type().is_date():
        return raw.cast("timestamp(6)")
    text = as_text(raw)
    plain = text.try_cast("timestamp(6)")
    zoned = text.re_replace(" *(Z|UTC|GMT)$", "+00").re_replace(" +([+-])", r"\1")  # engines differ in the others
    offset = zoned.try_cast("timestamp('UTC', 6)").cast("timestamp(6)")
    return ibis.cases(
        (text.re_search(ZONELESS), plain),
        (text.re_search(ZONED), offset),
        (text.lower() == "infinity", _instant(NEVER)),
        (text.lower() == "-infinity", _instant(EVER)),
        else_=ibis.null("timestamp(6)"),
    )


def bounded(time: Any) -> Any:
    """A timestamp that Python can show, in any zone."""
    never, ever = _instant(NEVER), _instant(EVER)
    return (time > never).ifelse(never, (time < ever).ifelse(ever, time))


def _instant(value: datetime) -> Any:
    return ibis.literal(value).cast("timestamp(6)")


def as_fixed(raw: Any, scale: int) -> Any:
    """An int64 count of ``10**-scale`` units; null where the cell is not a finite number in range."""
    decimal = f"decimal(18, {scale})"
    if raw.type().is_floating():
        # DuckDB takes a cast of NaN for a value where Parquet's statistics, which leave NaN out, promise one
        raw = raw.isnan().ifelse(ibis.null(raw.type()), raw)
        # binary noise decides only near a tie, and text is slow: only there is the decimal read
        units = raw.cast("float64") * float(10**scale)
        off = (units - units.try_cast("int64").cast("float64")).abs()  # null where it is no number in range
        near = ((off > 0.5 - NEAR_TIE) | (units.abs() >= SURE_UNITS)).fill_null(True)
        spelled = raw.cast("string").try_cast(decimal)
        value = spelled if raw.type().is_float32() else near.ifelse(spelled, raw.try_cast(decimal))
    else:
        value = (raw if raw.type().is_numeric() else _digits(as_text(raw))).try_cast(decimal)
    if not scale:
        return value.cast("int64")
    # products of wide decimals are slow: a float rounds to the same integer while its error is far below a half
    units = value.cast("float64") * float(10**scale)
    exact = value.cast(f"decimal(38, {scale})") * ibis.literal(10**scale).cast("decimal(7, 0)")
    return (units.abs() < SURE_UNITS).ifelse(units.cast("int64"), exact.cast("int64"))


def _digits(text: Any) -> Any:
    """Text that may be a number: DuckDB would read 1_000, and nobody can tell 1000 from a code."""
    return text.contains("_").ifelse(ibis.null("string"), text)


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
