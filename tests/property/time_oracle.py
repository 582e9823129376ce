"""What the snapshots and features of a small company must be: DESIGN section 3 read once more, in plain Python.

Slow on purpose: every number is counted from the rows themselves, with dicts, loops and fractions. Nothing here
knows of buckets, frames, Ibis or holdfast. Rows are dicts with canonical names (`holdfast.sources.tables`), times are
naive UTC datetimes, and numbers are whole units of their column's scale. Features come as None (unknown), text or an
exact Fraction; only a standard deviation is a Decimal.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

Row: TypeAlias = dict[str, Any]
Feature: TypeAlias = "Fraction | Decimal | str | None"
Rows: TypeAlias = Mapping[str, Sequence[Row]]

DAYS_PER_MONTH = Fraction("30.4375")
DIGITS = 60


def month_of(instant: datetime) -> int:
    """Months since year 0."""
    return instant.year * 12 + instant.month - 1


def grid(anchor: int, month: int) -> datetime:
    """The anchor day of a month, or its last day where it has no such day."""
    year, index = divmod(month, 12)
    return datetime(year, index + 1, min(anchor, calendar.monthrange(year, index + 1)[1]))  # noqa: DTZ001


def float32(value: Feature) -> float | str | None:
    """A feature as it is stored."""
    return value if value is None or isinstance(value, str) else float(np.float32(float(value)))


def days(start: datetime, end: datetime) -> Fraction:
    """Days between two instants, each cut to its whole second."""
    return Fraction(int((end.replace(microsecond=0) - start.replace(microsecond=0)).total_seconds()), 86400)


# -- snapshots --------------------------------------------------------------------------------------------------


def snapshot(
    customer: Row, cutoff: datetime, label_window: tuple[datetime, datetime], known_by: datetime, *,
    known_as_of: datetime, complete_through: datetime,
) -> tuple[str, int | None] | None:  # fmt: skip
    """State and label of a customer at a training cutoff; None where they are not in the population."""
    if not customer["start_available_at"] < known_as_of or not customer["start"] < cutoff:
        return None
    end, news = customer["end"], customer["end_available_at"]
    if end is None or news is None or news >= known_as_of:
        end = None
    elif end < cutoff or news < cutoff:
        return None
    if end is not None and end < label_window[0]:
        return "in_lead", None
    if known_by > min(known_as_of, complete_through):
        return "immature", None
    return "matured", int(end is not None and label_window[0] <= end < label_window[1])


def is_scored(customer: Row, cutoff: datetime) -> bool:
    """Whether a customer is scored at a cutoff: what the business saw just before it."""
    if not (customer["start"] < cutoff and customer["start_available_at"] < cutoff):
        return False
    return customer["end"] is None or customer["end_available_at"] is None or customer["end_available_at"] >= cutoff


# -- which rows are believed ------------------------------------------------------------------------------------


def believed(rows: Iterable[Row], keys: Sequence[str], cutoff: datetime) -> list[Row]:
    """Of each key the latest version available before the cutoff; rows with a null key stand for themselves."""
    latest: dict[tuple[Any, ...], Row] = {}
    alone: list[Row] = []
    for row in rows:
        if row["available_at"] >= cutoff:
            continue
        key = tuple(row[k] for k in keys)
        if not keys or None in key:
            alone.append(row)
        elif key not in latest or latest[key]["available_at"] < row["available_at"]:
            latest[key] = row
    return [*latest.values(), *alone]


def events_at(rows: Sequence[Row], cutoff: datetime) -> list[Row]:
    """The events, of all customers, that are usable at a cutoff."""
    return [r for r in believed(rows, ["event_id"], cutoff) if not r["deleted"] and r["event_time"] < cutoff]


def begins_at(rows: Sequence[Row], cutoff: datetime) -> datetime | None:
    """The midnight at which a source began, by what was known at a cutoff."""
    times = [r["event_time"] for r in rows if r["available_at"] < cutoff]
    return None if not times else min(times).replace(hour=0, minute=0, second=0, microsecond=0)


# -- features ---------------------------------------------------------------------------------------------------


def features(
    tables: Rows,
    data: Mapping[str, Any],
    wanted: Mapping[str, Any],
    *,
    cutoff: datetime,
    anchor: int,
    customers: set[str],
) -> dict[str, dict[str, Feature]]:
    """Customer -> feature name -> value at a cutoff, for the ``customers`` named.

    Parameters
    ----------
    tables : canonical rows by table name
    data, wanted : the sections ``data`` and ``features`` as they are written in YAML
    """
    default = [int(w[:-1]) for w in wanted["windows"]]
    name, config = next((n, t) for n, t in data["tables"].items() if t["kind"] == "customers")
    found: dict[str, dict[str, Feature]] = {}
    for customer in tables[name]:
        if customer["customer_id"] not in customers:
            continue
        mine = found[customer["customer_id"]] = {}
        if wanted.get("tenure", True):
            mine["tenure_months"] = Fraction(len(_full_months(customer["start"], cutoff, anchor, 10_000)))
        for attribute in wanted.get("attributes", {}):
            mine[f"{name}_{attribute}"] = _cell(customer[f"c_{attribute}"], config["columns"][attribute])
    lengths = [*default]
    for item in [*wanted.get("measures", {}).values(), *wanted.get("values", {}).values()]:
        lengths += _windows(item, default)
    usable = {n: events_at(tables[n], cutoff) for n, t in data["tables"].items() if t["kind"] == "events"}
    begins_of = {n: begins_at(tables[n], cutoff) for n in usable}
    for customer in tables[name]:
        if customer["customer_id"] not in found:
            continue
        mine = found[customer["customer_id"]]
        for value_name, value in wanted.get("values", {}).items():
            column = data["tables"][value["table"]]["columns"][value["column"]]
            versions = [r for r in tables[value["table"]] if r["customer_id"] == customer["customer_id"]]
            mine |= _history(value_name, value, column, versions, _windows(value, default), cutoff, anchor)
        for measure_name, measure in wanted.get("measures", {}).items():
            table = data["tables"][measure["table"]]
            begins = begins_of[measure["table"]]
            rows = [r for r in usable[measure["table"]] if r["customer_id"] == customer["customer_id"]]
            months = _windows(measure, default)
            mine |= _measure(measure_name, measure, table, rows, months, cutoff, anchor, customer["start"], begins)
            exposed = 0
            if begins is not None:
                exposed = len(_full_months(max(begins, customer["start"]), cutoff, anchor, max(lengths)))
            mine[f"{measure['table']}_exposure_months"] = Fraction(exposed)
    return found


def _windows(item: Mapping[str, Any], default: list[int]) -> list[int]:
    return sorted({int(w[:-1]) for w in item["windows"]}) if item.get("windows") else sorted(set(default))


def _cell(value: Any, column: Mapping[str, Any]) -> Feature:
    if value is None or isinstance(value, str):
        return value
    return Fraction(value, _unit(column))


def _unit(column: Mapping[str, Any]) -> int:
    return int(10 ** column.get("scale", 2)) if column["type"] == "number" else 1


def _full_months(start: datetime, cutoff: datetime, anchor: int, at_most: int) -> list[tuple[datetime, datetime]]:
    """The last months of the grid before a cutoff that lie wholly after ``start``, the latest first."""
    k, found = month_of(cutoff), []
    while len(found) < at_most and k - len(found) - 1 >= 12 and grid(anchor, k - len(found) - 1) >= start:
        found.append((grid(anchor, k - len(found) - 1), grid(anchor, k - len(found))))
    return found


def _measure(
    name: str, measure: Mapping[str, Any], table: Mapping[str, Any], rows: list[Row], windows: list[int],
    cutoff: datetime, anchor: int, start: datetime, begins: datetime | None,
) -> dict[str, Feature]:  # fmt: skip
    found: dict[str, Feature] = {}
    for aggregation in measure["aggregations"]:
        lengths = windows
        if aggregation == "recency":
            lengths = [max(windows)]
        elif aggregation in ("trend", "ratio"):
            lengths = [w for w in windows if w > 1]
        for w in lengths:
            value = None
            if begins is not None and begins < cutoff:
                value = _aggregate(aggregation, measure, table, rows, w, cutoff, anchor, max(start, begins))
            found[f"{name}_{aggregation}_{w}m"] = value
    return found


def _chosen(row: Row, measure: Mapping[str, Any], table: Mapping[str, Any]) -> bool:
    for column, words in measure.get("where", {}).items():
        cell, config = row[f"c_{column}"], table["columns"][column]
        if config["type"] == "boolean":
            accepted: list[Any] = [int(word == "true") for word in words]
        elif config["type"] == "number":
            accepted = [Fraction(word) * _unit(config) for word in words]
        else:
            accepted = words
        if cell is None or cell not in accepted:
            return False
    return True


def _aggregate(
    aggregation: str, measure: Mapping[str, Any], table: Mapping[str, Any], rows: list[Row], w: int,
    cutoff: datetime, anchor: int, exposed_from: datetime,
) -> Feature:  # fmt: skip
    k = month_of(cutoff)
    since, last_month = grid(anchor, k - w), grid(anchor, k - 1)
    inside = [r for r in rows if r["event_time"] >= since]
    chosen = [r for r in inside if _chosen(r, measure, table)]
    column = measure.get("column")
    unit = 1 if column is None else _unit(table["columns"][column])

    def values(of: Iterable[Row]) -> list[Fraction]:
        return [Fraction(r[f"c_{column}"], unit) for r in of if r[f"c_{column}"] is not None]

    if aggregation == "count":
        return Fraction(len(chosen))
    if aggregation == "share":
        return Fraction(len(chosen), len(inside)) if inside else None
    if aggregation == "recency":
        return days(max(r["event_time"] for r in chosen), cutoff) if chosen else None
    if aggregation == "trend":
        months = _full_months(exposed_from, cutoff, anchor, w)[::-1]
        each = [[r for r in chosen if a <= r["event_time"] < b] for a, b in months]
        return _slope([Fraction(len(m)) if column is None else sum(values(m), Fraction(0)) for m in each])
    if aggregation == "ratio":
        recent = [r for r in chosen if r["event_time"] >= last_month]
        earlier = [r for r in chosen if r["event_time"] < last_month]
        if column is None:
            recent_days = days(max(last_month, exposed_from), cutoff)
            earlier_days = days(max(since, exposed_from), cutoff) - recent_days
            if not earlier or not earlier_days or not recent_days:
                return None
            return (len(recent) / recent_days) / (len(earlier) / earlier_days)
        now, before = values(recent), values(earlier)
        if not now or not before or not sum(before):
            return None
        return _mean(now) / _mean(before)
    numbers = values(chosen)
    if aggregation == "sum":
        return sum(numbers, Fraction(0))
    if not numbers:
        return None
    if aggregation == "mean":
        return _mean(numbers)
    if aggregation == "std":
        return _deviation(numbers)
    return min(numbers) if aggregation == "min" else max(numbers)


def _mean(numbers: Sequence[Fraction]) -> Fraction:
    return sum(numbers, Fraction(0)) / len(numbers)


def _deviation(numbers: Sequence[Fraction]) -> Decimal | None:
    """The sample standard deviation."""
    if len(numbers) < 2:
        return None
    mean = _mean(numbers)
    variance = sum(((x - mean) ** 2 for x in numbers), Fraction(0)) / (len(numbers) - 1)
    with localcontext() as context:
        context.prec = DIGITS
        return (Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt()


def _slope(y: Sequence[Fraction]) -> Fraction | None:
    """The least-squares slope of y over 0, 1, 2, …"""
    if len(y) < 2:
        return None
    x_mean, y_mean = Fraction(len(y) - 1, 2), _mean(y)
    top = sum(((x - x_mean) * (v - y_mean) for x, v in enumerate(y)), Fraction(0))
    return top / sum(((x - x_mean) ** 2 for x in range(len(y))), Fraction(0))


def _history(
    name: str, value: Mapping[str, Any], column: Mapping[str, Any], versions: list[Row], windows: list[int],
    cutoff: datetime, anchor: int,
) -> dict[str, Feature]:  # fmt: skip
    """A later version ends the one before it; the last one holds until its own end is known."""
    known = [r for r in believed(versions, ["valid_from"], cutoff) if r["valid_from"] < cutoff]
    known.sort(key=lambda r: r["valid_from"])
    cells = [r[f"c_{value['column']}"] for r in known]
    changes = [r["valid_from"] for i, r in enumerate(known) if i and cells[i] != cells[i - 1]]
    holds = bool(known)
    if known and known[-1]["valid_to"] is not None and known[-1]["closed_available_at"] is not None:
        holds = not (known[-1]["valid_to"] < cutoff and known[-1]["closed_available_at"] < cutoff)
    found: dict[str, Feature] = {}
    for aggregation in value.get("aggregations", ["value"]):
        if aggregation == "value":
            found[name] = _cell(cells[-1], column) if holds else None
        elif aggregation == "months_until":
            reach = None if not holds or cells[-1] is None else days(cutoff, cells[-1]) / DAYS_PER_MONTH
            found[name] = reach
        elif aggregation == "days_since_change":
            since = max([*changes, known[0]["valid_from"]]) if known else cutoff
            found[f"{name}_days_since_change"] = days(since, cutoff) if holds else None
        else:
            for w in windows:
                inside = [c for c in changes if c >= grid(anchor, month_of(cutoff) - w)]
                found[f"{name}_changes_{w}m"] = Fraction(len(inside)) if known else None
    return found


def horizon_window(
    cutoff: datetime, anchor: int, *, lead_days: int, horizon: str, wait_days: int
) -> tuple[tuple[datetime, datetime], datetime]:
    """The label window of a cutoff, and when its labels are known."""
    lead = timedelta(days=lead_days)
    n = int(horizon[:-1])
    end = grid(anchor, month_of(cutoff) + n) if horizon.endswith("m") else cutoff + timedelta(days=n)
    return (cutoff + lead, end + lead), end + lead + timedelta(days=wait_days)
