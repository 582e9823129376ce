"""Aggregations as they must be: of the rows in a window, by loops and fractions (`holdfast.audit.oracle_features`)."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Any, TypeAlias

from holdfast.audit import oracle_snapshots
from holdfast.audit.oracle_snapshots import Row, days, month_of

Feature: TypeAlias = "Fraction | Decimal | str | None"

Span: TypeAlias = "tuple[int, int]"
"""Months and days, one of them zero."""

grid = cache(oracle_snapshots.grid)
DIGITS = 60


def since(span: Span, cutoff: datetime, anchor: int) -> datetime:
    """The instant at which a window begins."""
    return grid(anchor, month_of(cutoff) - span[0]) if span[0] else cutoff - timedelta(days=span[1])


def full_months(start: datetime, cutoff: datetime, anchor: int, at_most: int) -> list[tuple[datetime, datetime]]:
    """The last months of the grid before a cutoff that lie wholly after ``start``, the latest first."""
    k = month_of(cutoff)
    found: list[tuple[datetime, datetime]] = []
    while len(found) < at_most and k - len(found) - 1 >= 12 and grid(anchor, k - len(found) - 1) >= start:
        found.append((grid(anchor, k - len(found) - 1), grid(anchor, k - len(found))))
    return found


def cell(value: Any, column: Mapping[str, Any]) -> Feature:
    if value is None or isinstance(value, str):
        return value
    return Fraction(value, unit(column))


def unit(column: Mapping[str, Any]) -> int:
    return int(10 ** column.get("scale", 2)) if column["type"] == "number" else 1


def _value(row: Row, measure: Mapping[str, Any], table: Mapping[str, Any]) -> Any:
    """The value of a measure in a row: exact, text, or None."""
    if measure.get("expression"):
        return _evaluated(ast.parse(measure["expression"].strip(), mode="eval").body, row, table)
    return cell(row[f"c_{measure['column']}"], table["columns"][measure["column"]])


def _evaluated(node: ast.expr, row: Row, table: Mapping[str, Any]) -> Fraction | None:
    if isinstance(node, ast.Constant):
        return Fraction(str(node.value))
    if isinstance(node, ast.Name):
        cell = row[f"c_{node.id}"]
        return None if cell is None else Fraction(cell, unit(table["columns"][node.id]))
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


def aggregate(
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
        months = full_months(exposed_from, cutoff, anchor, w[0])[::-1]
        each = [[r for r in chosen if a <= r["event_time"] < b] for a, b in months]
        return _slope([Fraction(len(m)) if of_rows else sum(values(m), Fraction(0)) for m in each])
    if aggregation == "ratio":
        last_month = grid(anchor, month_of(cutoff) - 1)
        recent = [r for r in chosen if r["event_time"] >= last_month]
        earlier = [r for r in chosen if r["event_time"] < last_month]
        if of_rows:
            recent_days = days(max(last_month, exposed_from), cutoff)
            earlier_days = days(max(since(w, cutoff, anchor), exposed_from), cutoff) - recent_days
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
