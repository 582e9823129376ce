"""(a) Rows that cannot be used at a cutoff are deleted, scrambled and duplicated: no feature may move by a bit.

All is one computation on the engine: every sampled customer comes four times under other names, as they are and with
their unusable rows deleted, scrambled and duplicated, and the four must have the same features.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.audit.names import fix
from holdfast.audit.oracle_snapshots import Row
from holdfast.audit.recompute import features_of
from holdfast.audit.report import Finding, Outcome
from holdfast.audit.rows import NOBODY, Story, to_engine
from holdfast.audit.subject import Subject
from holdfast.clock import iso, naive, utc
from holdfast.config.data import CustomersTable, DataSection, HistoryTable
from holdfast.snapshots.calendar import Cutoff

CHECK = "metamorphic"
WAYS = ("deleted", "scrambled", "duplicated")
CUSTOMERS = 60
"""Customers at each sampled cutoff."""


def check(
    subject: Subject, pairs: Sequence[int], told: Mapping[str, Story], begins: Story, starts: Mapping[Any, datetime]
) -> Outcome:
    """Compare the features of the four copies of every sampled customer.

    Parameters
    ----------
    pairs : row numbers of ``subject.stored`` to choose cutoffs and customers from
    starts : the start of each (customer_id, cutoff)
    """
    if not subject.effort.metamorphic:
        return Outcome("not looked at before a promotion; holdfast audit does")
    rng = subject.rng("metamorphic")
    by_cutoff: dict[datetime, list[str]] = {}
    for row in subject.stored.select(["customer_id", "cutoff"]).take(list(pairs)).to_pylist():
        if (row["customer_id"], row["cutoff"]) in starts:
            by_cutoff.setdefault(utc(row["cutoff"]), []).append(row["customer_id"])
    known = {c.at: c for c in subject.cutoffs}
    grid = _fullest_grid(known, by_cutoff)
    chosen = sorted((c for c in by_cutoff if known[c].grid == grid), key=lambda c: -len(by_cutoff[c]))
    chosen = sorted(chosen[: subject.effort.metamorphic])
    if not chosen:
        return Outcome("no snapshot to look at")
    tables: dict[str, list[Row]] = {name: list(begins.get(name, ())) for name in subject.tables}
    population: list[Row] = []
    changed = 0
    for cutoff in chosen:
        for customer in by_cutoff[cutoff][:CUSTOMERS]:
            for way in ("", *WAYS):
                name = f"{way}|{iso(cutoff)}|{customer}"
                at = naive(cutoff)
                population.append({"customer_id": name, "cutoff": at, "start": starts[customer, at]})
                for table, rows in told[customer].items():
                    copied = [_renamed(r, customer, name, way, cutoff) for r in rows]
                    mine = tampered(copied, table, subject.config.data, at, way, rng)
                    alone = single(rows)
                    changed += sum(unusable(r, at, alone) for r in rows) if way == "deleted" else 0
                    tables[table] += mine
    differ = _differ(subject, tables, population, [known[c] for c in chosen])
    looked = (
        f"{len(population) // 4} customers at {', '.join(iso(c) for c in chosen)}, {changed:,} unusable rows deleted, "
        "scrambled and duplicated"
    )
    if not differ:
        return Outcome(looked)
    features = sorted({d["feature"] for d in differ})
    changes = f"{len(differ):,} values of {len(features)} features change"
    what = f"{changes} when rows that were not known at the cutoff are {_ways(differ)}"
    where = ", ".join(features[:5]) + (", …" if len(features) > 5 else "")
    name = "unusable-row-used"
    return Outcome(looked, [Finding(name, CHECK, "high", where, what, fix(name), len(differ), None, tuple(differ))])


def _fullest_grid(known: Mapping[datetime, Cutoff], by_cutoff: Mapping[datetime, Sequence[str]]) -> Any:
    sizes: dict[Any, int] = {}
    for c, customers in by_cutoff.items():
        sizes[known[c].grid] = sizes.get(known[c].grid, 0) + len(customers)
    return max(sizes, key=lambda g: (sizes[g], -g.anchor_day)) if sizes else None


def unusable(row: Row, cutoff: datetime, alone: Container[Any]) -> bool:
    """Whether a row of events or history cannot be used: it happened, or was known, at the cutoff or after.

    Of an event with several versions, one that was known before replaces or deletes the earlier ones, whenever it says
    the event was; ``alone`` holds the events of one version.
    """
    if "event_time" in row:
        later = row["event_time"] >= cutoff and (row["event_id"] is None or row["event_id"] in alone)
        return bool(row["available_at"] >= cutoff or later)
    if "valid_from" in row:
        return bool(row["available_at"] >= cutoff or row["valid_from"] >= cutoff)
    return False


def single(rows: Sequence[Row]) -> set[Any]:
    """The ids of events that have one version."""
    counts = Counter(r.get("event_id") for r in rows)
    return {key for key, n in counts.items() if n == 1}


def tampered(
    rows: Sequence[Row], table: str, data: DataSection, cutoff: datetime, way: str, rng: np.random.Generator
) -> list[Row]:
    """The rows of one customer with the unusable ones deleted, scrambled or duplicated."""
    config = data.tables[table]
    if isinstance(config, CustomersTable):
        return [_later_news(r, cutoff, way) for r in rows]
    found: list[Row] = []
    alone = single(rows)
    for row in rows:
        if isinstance(config, HistoryTable):
            row = _later_news(row, cutoff, way)
        if not way or not unusable(row, cutoff, alone):
            found.append(row)
        elif way == "scrambled":
            found.append(_scrambled(row, rng))
        elif way == "duplicated":
            found += [row, _again(row, len(found))]
    return found


def _later_news(row: Row, cutoff: datetime, way: str) -> Row:
    """Ends and closings known only later: forgotten, moved, or as they are."""
    row = dict(row)
    for value, news in (("end", "end_available_at"), ("valid_to", "closed_available_at"), ("notice", "notice")):
        if row.get(value) is None or row.get(news) is None or row[news] < cutoff or not way:
            continue
        if way == "deleted":
            row[value] = row[news] = None
        elif way == "scrambled":
            row[value] = max(row[value], cutoff) + timedelta(days=11)
            row[news] = max(row[news], cutoff) + timedelta(days=11)
    return row


def _scrambled(row: Row, rng: np.random.Generator) -> Row:
    """Other cells, and later."""
    moved = dict(row)
    for column, cell in row.items():
        if column.startswith("c_"):
            if isinstance(cell, int):
                moved[column] = int(cell) * 3 + int(rng.integers(1, 1000))
            elif isinstance(cell, str):
                moved[column] = cell[::-1] + "?"
            elif isinstance(cell, datetime):
                moved[column] = cell + timedelta(days=int(rng.integers(1, 400)))
    if "deleted" in row:
        moved["deleted"] = 1 - int(row["deleted"])
    moved["available_at"] = row["available_at"] + timedelta(days=int(rng.integers(0, 9)))
    return moved


def _again(row: Row, number: int) -> Row:
    """The same row under another key: a second event, or a version that begins a moment later."""
    later = timedelta(microseconds=number + 1)
    if "event_time" in row:
        return {**row, "event_id": None if row["event_id"] is None else f"{row['event_id']}|again{number}"}
    return {**row, "valid_from": row["valid_from"] + later, "available_at": row["available_at"] + later}


def _renamed(row: Row, customer: str, name: str, way: str, cutoff: datetime) -> Row:
    """A row of the copy: its events are its own."""
    other = {**row, "customer_id": name if row["customer_id"] == customer else NOBODY}
    if row.get("event_id") is not None:
        other["event_id"] = f"{way}|{iso(cutoff)}|{customer}|{row['event_id']}"
    if row.get("subscription_id") is not None:
        other["subscription_id"] = f"{way}|{iso(cutoff)}|{customer}|{row['subscription_id']}"
    return other


def _differ(
    subject: Subject, rows: Mapping[str, list[Row]], population: list[Row], cutoffs: Sequence[Cutoff]
) -> list[dict[str, Any]]:
    """Features of a copy that are not those of the original."""
    engine = subject.engine
    tables = {
        name: to_engine(engine, table, rows[name], f"audit_copy_{i}")
        for i, (name, table) in enumerate(subject.tables.items())
    }
    stamp = pa.timestamp("us")
    pairs = pa.Table.from_pylist(
        population, pa.schema([("customer_id", pa.string()), ("cutoff", stamp), ("start", stamp)])
    )
    found = features_of(subject, tables, pairs, cutoffs, "copies").to_pylist()
    by_name = {r["customer_id"]: r for r in found}
    differ: list[dict[str, Any]] = []
    for name, row in by_name.items():
        way, _, rest = name.partition("|")
        if way:
            original = by_name[f"|{rest}"]
            differ += [
                {"customer_id": rest.partition("|")[2], "cutoff": row["cutoff"], "feature": f, "unusable_rows": way,
                 "as_they_are": original[f], "then": row[f]}
                for f in row
                if f != "customer_id" and not _equal(original[f], row[f])
            ]  # fmt: skip
    engine.drop(*(f"audit_copy_{i}" for i in range(len(tables))))
    return differ


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return bool(a == b)


def _ways(differ: Sequence[Mapping[str, Any]]) -> str:
    return " or ".join(dict.fromkeys(str(d["unusable_rows"]) for d in differ))
