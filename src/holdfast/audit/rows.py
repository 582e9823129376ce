"""Rows of a few customers as plain Python, and the times of all rows as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from holdfast.artifacts.engine import Engine
from holdfast.audit.oracle_snapshots import Row
from holdfast.audit.subject import Subject, times
from holdfast.config.data import EventsTable, HistoryTable

NOBODY = "\x00nobody"
"""The customer of rows that only say since when a source exists."""

Story = dict[str, list[Row]]
"""Rows by table, of one customer."""


@dataclass(frozen=True)
class Times:
    """When the rows of a table happened and were available, (n,) datetime64[us] each.

    Attributes
    ----------
    customer, key : codes; ``key`` is the event's id or the version's (customer, valid_from), -1 where it has none
    earlier : when the same key was first available; NaT for that first version itself
    """

    ids: pa.Array
    customer: npt.NDArray[np.int64]
    time: npt.NDArray[Any]
    available: npt.NDArray[Any]
    earlier: npt.NDArray[Any]


def times_of(subject: Subject, name: str) -> Times:
    """The times of every row of an events or history table (of the customers read)."""
    config, table = subject.config.data.tables[name], subject.tables[name]
    events = isinstance(config, EventsTable)
    time = "event_time" if events else "valid_from"
    key = ["event_id"] if events else []
    found = subject.engine.to_arrow(subject.only_kept(table.select("customer_id", *key, time, "available_at")))
    coded = found.column("customer_id").combine_chunks().dictionary_encode()
    customer = np.asarray(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    happened, available = times(found.column(time)), times(found.column("available_at"))
    if events:
        ids = found.column("event_id").combine_chunks().dictionary_encode().indices.fill_null(-1)
        keys = np.asarray(ids.to_numpy(zero_copy_only=False), dtype=np.int64)
    else:
        _, version = np.unique(happened, return_inverse=True)
        keys = customer * (version.max(initial=0) + 1) + version
    return Times(coded.dictionary, customer, happened, available, _earlier(keys, available))


def _earlier(keys: npt.NDArray[np.int64], available: npt.NDArray[Any]) -> npt.NDArray[Any]:
    found = np.full(len(keys), np.datetime64("NaT"), dtype="datetime64[us]")
    order = np.lexsort((available, keys))
    k, a = keys[order], available[order]
    if not len(k):
        return found
    first = np.append(True, k[1:] != k[:-1])
    start = np.maximum.accumulate(np.where(first, np.arange(len(k)), 0))
    later = ~first & (k >= 0)
    found[order[later]] = a[start[later]]
    return found


def stories(subject: Subject, customers: Sequence[str]) -> dict[str, Story]:
    """All that the tables ever said of some customers, the other versions of their events included."""
    engine = subject.engine
    ids = engine.from_arrow(pa.table({"customer_id": pa.array(sorted(set(customers)), pa.string())}), "audit_customers")
    found: dict[str, Story] = {c: {name: [] for name in subject.tables} for c in customers}
    for name, config in subject.config.data.tables.items():
        table = subject.tables[name]
        own = engine.materialize(table.semi_join(ids, "customer_id"), "audit_own")
        rows = engine.to_arrow(own).to_pylist()
        versions: dict[Any, list[Row]] = {}
        if isinstance(config, EventsTable) and config.id is not None:
            keys = own.filter(own.event_id.notnull()).select("event_id").distinct()
            for row in engine.to_arrow(table.semi_join(keys, "event_id")).to_pylist():
                versions.setdefault(row["event_id"], []).append(row)
        told: dict[str, set[Any]] = {}
        for row in rows:
            customer, key = row["customer_id"], row.get("event_id")
            mine = found[customer][name]
            if key is None or key not in versions:
                mine.append(row)
            elif key not in told.setdefault(customer, set()):
                told[customer].add(key)
                mine += versions[key]
    engine.drop("audit_own", "audit_customers")
    return found


def begins_rows(subject: Subject) -> Story:
    """Rows of nobody that let each source begin when it began: the oldest event that was known, at any time.

    Of all customers, also where only some are read: among these a rare kind of event may begin later. Cutoffs are
    midnights, so what became available within one day, and not at its first instant, was known to the same cutoffs.
    """
    found: Story = {}
    for name, config in subject.config.data.tables.items():
        if not isinstance(config, EventsTable):
            continue
        table = subject.tables[name]
        day = table.available_at.truncate("D")
        by_day = table.group_by(day=day, first=table.available_at == day).aggregate(
            time=table.event_time.min(), available=table.available_at.min()
        )
        known = subject.engine.to_arrow(by_day.select("time", "available")).sort_by(
            [("available", "ascending"), ("time", "ascending")]
        )
        time, available = times(known.column("time")), times(known.column("available"))
        oldest = np.minimum.accumulate(time) if len(time) else time
        new = np.flatnonzero(np.append(True, oldest[1:] != oldest[:-1])) if len(time) else time
        columns = [f"c_{c}" for c in config.columns]
        found[name] = [
            {
                "customer_id": NOBODY, "event_id": None, "event_time": stamp(time[i]),
                "available_at": stamp(available[i]), "deleted": 0, **dict.fromkeys(columns),
            }
            for i in new
        ]  # fmt: skip
    return found


def stamp(value: Any) -> datetime:
    """A datetime64 as the naive UTC datetime of rows."""
    found: datetime = value.astype("datetime64[us]").astype(object)
    return found


def to_engine(engine: Engine, like: Any, rows: Iterable[Row], name: str) -> Any:
    """Rows as an engine table with the columns and types of ``like``; which repeat is for who reads them to find."""
    schema = like.drop("repeats").schema().to_pyarrow() if "repeats" in like.columns else like.schema().to_pyarrow()
    return engine.from_arrow(pa.Table.from_pylist(list(rows), schema=schema), name)


def timed_tables(subject: Subject) -> list[str]:
    """Tables whose rows have a time and an availability: events and histories."""
    return [n for n, t in subject.config.data.tables.items() if isinstance(t, EventsTable | HistoryTable)]
