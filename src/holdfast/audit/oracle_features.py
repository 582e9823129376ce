"""What every feature must be: counted from the rows themselves, with dicts, loops and fractions.

The slow half of the audit's second opinion (`holdfast.audit.oracle_snapshots` says which rows count). Features come as
None (unknown), text or an exact Fraction; only a standard deviation is a Decimal.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from holdfast.audit import oracle_snapshots
from holdfast.audit.oracle_snapshots import Row, Rows, begins_at, believed, days, events_at, month_of, start_known

Feature: TypeAlias = "Fraction | Decimal | str | None"

grid = cache(oracle_snapshots.grid)
DAYS_PER_MONTH = Fraction("30.4375")
DIGITS = 60


def float32(value: Feature) -> float | str | None:
    """A feature as it is stored."""
    return value if value is None or isinstance(value, str) else float(np.float32(float(value)))


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
    found: dict[str, dict[str, Feature]] = {}
    of_tables = data["tables"]
    usable = {n: events_at(tables[n], cutoff) for n, t in of_tables.items() if t["kind"] == "events"}
    begins_of = {n: begins_at(tables[n], cutoff) for n in usable}
    default = wanted["windows"]
    items = [*wanted.get("measures", {}).values(), *wanted.get("values", {}).values()]
    spans = [_span(w) for w in [*default, *(w for item in items for w in item.get("windows") or ())]]
    longest = max(months or -(-number // 28) for months, number in spans)
    for customer in sorted(customers):
        start = _start(tables, data, usable, customer, cutoff)
        if start is None:
            continue
        mine = found[customer] = {}
        if wanted.get("tenure", True):
            mine["tenure_months"] = Fraction(len(_full_months(start, cutoff, anchor, 10_000)))
        for attribute in wanted.get("attributes", {}):
            mine |= _attribute(tables, of_tables, attribute, customer)
        for value_name, value in wanted.get("values", {}).items():
            column = of_tables[value["table"]]["columns"][value["column"]]
            versions = [r for r in tables[value["table"]] if r["customer_id"] == customer]
            mine |= _history(value_name, value, column, versions, _windows(value, default), cutoff, anchor)
        for measure_name, measure in wanted.get("measures", {}).items():
            begins = begins_of[measure["table"]]
            rows = [r for r in usable[measure["table"]] if r["customer_id"] == customer]
            exposed_from = None if begins is None or begins >= cutoff else max(start, begins)
            mine |= _measure(
                measure_name, measure, of_tables[measure["table"]], rows, _windows(measure, default), cutoff, anchor,
                exposed_from,
            )  # fmt: skip
            exposure = f"{measure['table']}_exposure_months"
            if exposure not in mine:
                exposed = [] if exposed_from is None else _full_months(exposed_from, cutoff, anchor, longest)
                mine[exposure] = Fraction(len(exposed))
    return found


def _start(tables: Rows, data: Mapping[str, Any], usable: Rows, customer: str, cutoff: datetime) -> datetime | None:
    """The first start known before the cutoff; of inactivity churn without one, the first event."""
    label = data.get("label", {})
    for name, table in data["tables"].items():
        if table["kind"] == "customers" and table.get("start"):
            start = start_known([r for r in tables[name] if r["customer_id"] == customer], cutoff)
            if start is not None:
                return start
    if label.get("churn") != "inactivity":
        return None
    return min((r["event_time"] for r in usable[label["events"]] if r["customer_id"] == customer), default=None)


def _attribute(tables: Rows, declared: Mapping[str, Any], attribute: str, customer: str) -> dict[str, Feature]:
    """An attribute, written column or table.column, of the one row that the customer has; unknown without."""
    for name, table in declared.items():
        for column in table.get("columns", {}) if table["kind"] == "customers" else ():
            if attribute in (column, f"{name}.{column}"):
                rows = [r for r in tables[name] if r["customer_id"] == customer]
                cell = rows[0][f"c_{column}"] if rows else None
                return {f"{name}_{column}": _cell(cell, table["columns"][column])}
    raise KeyError(attribute)


Span: TypeAlias = "tuple[int, int]"
"""Months and days, one of them zero."""


def _span(text: str) -> Span:
    number = int(text[:-1])
    return (number, 0) if text.endswith("m") else (0, number * (7 if text.endswith("w") else 1))


def _name(span: Span) -> str:
    return f"{span[0]}m" if span[0] else f"{span[1]}d"


def _windows(item: Mapping[str, Any], default: Sequence[str]) -> list[Span]:
    """From the shortest to the longest; a month is 30.4375 days."""
    return sorted(
        {_span(w) for w in item.get("windows") or default}, key=lambda s: (s[0] * DAYS_PER_MONTH + s[1], s[0])
    )


def _since(span: Span, cutoff: datetime, anchor: int) -> datetime:
    """The instant at which a window begins."""
    return grid(anchor, month_of(cutoff) - span[0]) if span[0] else cutoff - timedelta(days=span[1])


def _cell(value: Any, column: Mapping[str, Any]) -> Feature:
    if value is None or isinstance(value, str):
        return value
    return Fraction(value, _unit(column))


def _unit(column: Mapping[str, Any]) -> int:
    return int(10 ** column.get("scale", 2)) if column["type"] == "number" else 1


def _full_months(start: datetime, cutoff: datetime, anchor: int, at_most: int) -> list[tuple[datetime, datetime]]:
    """The last months of the grid before a cutoff that lie wholly after ``start``, the latest first."""
    k = month_of(cutoff)
    found: list[tuple[datetime, datetime]] = []
    while len(found) < at_most and k - len(found) - 1 >= 12 and grid(anchor, k - len(found) - 1) >= start:
        found.append((grid(anchor, k - len(found) - 1), grid(anchor, k - len(found))))
    return found


def _measure(
    name: str, measure: Mapping[str, Any], table: Mapping[str, Any], rows: list[Row], windows: list[Span],
    cutoff: datetime, anchor: int, exposed_from: datetime | None,
) -> dict[str, Feature]:  # fmt: skip
    found: dict[str, Feature] = {}
    whole = [r for r in rows if _chosen(r, measure.get("where") or {}, table)]
    if measure.get("by"):
        ((column, values),) = measure["by"].items()
        parts = [(f"{name}_{_safe(v)}", [r for r in whole if _chosen(r, {column: [v]}, table)], whole) for v in values]
    else:
        parts = [(name, whole, rows)]
    for part, chosen, all_rows in parts:
        for aggregation in measure["aggregations"]:
            lengths = windows
            if aggregation == "recency":
                lengths = windows[-1:]
            elif aggregation in ("trend", "ratio"):
                lengths = [w for w in windows if w[0] > 1]
            for w in lengths:
                value = None
                if exposed_from is not None:
                    since = _since(w, cutoff, anchor)
                    inside = [r for r in chosen if r["event_time"] >= since]
                    around = [r for r in all_rows if r["event_time"] >= since]
                    value = _aggregate(aggregation, measure, table, inside, around, w, cutoff, anchor, exposed_from)
                found[f"{part}_{aggregation}_{_name(w)}"] = value
    return found


def _safe(value: str) -> str:
    """A value in a name: words of letters and digits, joined by underscores."""
    return "_".join(re.findall(r"[^\W_]+(?:_+[^\W_]+)*", value.lower())) or "blank"


def _chosen(row: Row, where: Mapping[str, Sequence[str]], table: Mapping[str, Any]) -> bool:
    for column, words in where.items():
        cell, config = row[f"c_{column}"], table["columns"][column]
        if config["type"] == "boolean":
            accepted: list[Any] = [int(word == "true") for word in words]
        elif config["type"] == "number":
            accepted = [Fraction(word) * _unit(config) for word in words]
        else:
            accepted = [word.strip() for word in words]
        if cell is None or cell not in accepted:
            return False
    return True


def _value(row: Row, measure: Mapping[str, Any], table: Mapping[str, Any]) -> Any:
    """The value of a measure in a row: exact, text, or None."""
    if measure.get("expression"):
        return _evaluated(ast.parse(measure["expression"].strip(), mode="eval").body, row, table)
    return _cell(row[f"c_{measure['column']}"], table["columns"][measure["column"]])


def _evaluated(node: ast.expr, row: Row, table: Mapping[str, Any]) -> Fraction | None:
    if isinstance(node, ast.Constant):
        return Fraction(str(node.value))
    if isinstance(node, ast.Name):
        cell = row[f"c_{node.id}"]
        return None if cell is None else Fraction(cell, _unit(table["columns"][node.id]))
    if isinstance(node, ast.UnaryOp):
        value = _evaluated(node.operand, row, table)
        return -value if value is not None and isinstance(node.op, ast.USub) else value
    assert isinstance(node, ast.BinOp)
    left, right = _evaluated(node.left, row, table), _evaluated(node.right, row, table)
    if left is None or right is None:
        return None
    if isinstance(node.op, ast.Mult):
        return left * right
    return left + right if isinstance(node.op, ast.Add) else left - right


def _aggregate(
    aggregation: str, measure: Mapping[str, Any], table: Mapping[str, Any], chosen: list[Row], inside: list[Row],
    w: Span, cutoff: datetime, anchor: int, exposed_from: datetime,
) -> Feature:  # fmt: skip
    """One feature of the rows ``chosen`` in a window, of all that are ``inside`` it."""
    of_rows = not measure.get("column") and not measure.get("expression")

    def values(of: Iterable[Row]) -> list[Any]:
        found = [(r["event_time"], _value(r, measure, table)) for r in of]
        return [value for _, value in sorted(pair for pair in found if pair[1] is not None)]

    if aggregation == "count":
        return Fraction(len(chosen))
    if aggregation == "share":
        return Fraction(len(chosen), len(inside)) if inside else None
    if aggregation == "recency":
        return days(max(r["event_time"] for r in chosen), cutoff) if chosen else None
    if aggregation == "mean_gap":
        times = sorted(r["event_time"] for r in chosen)
        return days(times[0], times[-1]) / (len(times) - 1) if len(times) > 1 else None
    if aggregation == "trend":
        months = _full_months(exposed_from, cutoff, anchor, w[0])[::-1]
        each = [[r for r in chosen if a <= r["event_time"] < b] for a, b in months]
        return _slope([Fraction(len(m)) if of_rows else sum(values(m), Fraction(0)) for m in each])
    if aggregation == "ratio":
        last_month = grid(anchor, month_of(cutoff) - 1)
        recent = [r for r in chosen if r["event_time"] >= last_month]
        earlier = [r for r in chosen if r["event_time"] < last_month]
        if of_rows:
            recent_days = days(max(last_month, exposed_from), cutoff)
            earlier_days = days(max(_since(w, cutoff, anchor), exposed_from), cutoff) - recent_days
            if not earlier or not earlier_days or not recent_days:
                return None
            return (len(recent) / recent_days) / (len(earlier) / earlier_days)
        now, before = values(recent), values(earlier)
        if not now or not before or not sum(before):
            return None
        return _mean(now) / _mean(before)
    found: list[Any] = values(chosen)
    if aggregation == "n_unique":
        return Fraction(len(set(found)))
    if aggregation == "sum":
        return sum(found, Fraction(0))
    if not found:
        return None
    if aggregation == "mean":
        return _mean(found)
    if aggregation == "std":
        return _deviation(found)
    of_one: dict[str, Feature] = {"first": found[0], "last": found[-1], "min": min(found), "max": max(found)}
    return of_one[aggregation]


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
    name: str, value: Mapping[str, Any], column: Mapping[str, Any], versions: list[Row], windows: list[Span],
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
                inside = [c for c in changes if c >= _since(w, cutoff, anchor)]
                found[f"{name}_changes_{_name(w)}"] = Fraction(len(inside)) if known else None
    return found
