"""What every feature must be: counted from the rows themselves, with dicts, loops and fractions.

The slow half of the audit's second opinion (`holdfast.audit.oracle_snapshots` says which rows count). Features come as
None (unknown), text or an exact Fraction; only a standard deviation is a Decimal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import numpy as np

from holdfast.audit.oracle_aggregations import Feature, Span, aggregate, cell, full_months, since, unit
from holdfast.audit.oracle_snapshots import Row, Rows, begins_at, believed, days, events_at, start_known

DAYS_PER_MONTH = Fraction("30.4375")


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
            mine["tenure_months"] = Fraction(len(full_months(start, cutoff, anchor, 10_000)))
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
                exposed = [] if exposed_from is None else full_months(exposed_from, cutoff, anchor, longest)
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
                return {f"{name}_{column}": cell(rows[0][f"c_{column}"] if rows else None, table["columns"][column])}
    raise KeyError(attribute)


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
                    opens = since(w, cutoff, anchor)
                    inside = [r for r in chosen if r["event_time"] >= opens]
                    around = [r for r in all_rows if r["event_time"] >= opens]
                    value = aggregate(aggregation, measure, table, inside, around, w, cutoff, anchor, exposed_from)
                found[f"{part}_{aggregation}_{_name(w)}"] = value
    return found


def _safe(value: str) -> str:
    """A value in a name: words of letters and digits, joined by underscores."""
    return "_".join(re.findall(r"[^\W_]+(?:_+[^\W_]+)*", value.lower())) or "blank"


def _chosen(row: Row, where: Mapping[str, Sequence[str]], table: Mapping[str, Any]) -> bool:
    for column, words in where.items():
        value, config = row[f"c_{column}"], table["columns"][column]
        if config["type"] == "boolean":
            accepted: list[Any] = [int(word == "true") for word in words]
        elif config["type"] == "number":
            accepted = [Fraction(word) * unit(config) for word in words]
        else:
            accepted = [word.strip() for word in words]
        if value is None or value not in accepted:
            return False
    return True


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
            found[name] = cell(cells[-1], column) if holds else None
        elif aggregation == "months_until":
            reach = None if not holds or cells[-1] is None else days(cutoff, cells[-1]) / DAYS_PER_MONTH
            found[name] = reach
        elif aggregation == "days_since_change":
            changed = max([*changes, known[0]["valid_from"]]) if known else cutoff
            found[f"{name}_days_since_change"] = days(changed, cutoff) if holds else None
        else:
            for w in windows:
                inside = [c for c in changes if c >= since(w, cutoff, anchor)]
                found[f"{name}_changes_{_name(w)}"] = Fraction(len(inside)) if known else None
    return found
