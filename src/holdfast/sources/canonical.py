"""Declared columns -> canonical names, whatever the source calls them (`holdfast.sources.tables` lists them)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis

from holdfast.config.data import ColumnType, CustomersTable, EventsTable, HistoryTable, Table
from holdfast.sources.columns import as_boolean, as_text, as_time, bounded, canonical
from holdfast.sources.zones import local_to_utc

CLOCK_ALONE, CLOCK_AND_ZONE = 1, 2


@dataclass(frozen=True)
class Canonical:
    """A canonical column.

    Attributes
    ----------
    source : the source's column; None where the column is derived, or not declared
    type : what its cells should be
    value : its value, an expression over the raw table
    copies, delay : without a value: the canonical column that it is a copy of, and how many days later
    needed : a row without a value cannot be used
    declared : of ``columns``
    instead : the canonical column that stands in where a cell is blank
    """

    source: str | None
    type: ColumnType
    value: Any = None
    copies: str | None = None
    delay: int = 0
    needed: bool = False
    declared: bool = False
    instead: str | None = None


def canonical_columns(config: Table, raw: Any) -> dict[str, Canonical]:
    """Canonical name -> where it comes from and what it is."""

    def time(column: str | None, *, copies: str | None = None, delay: int = 0, needed: bool = False,
             instead: str | None = None) -> Canonical:  # fmt: skip
        if column is not None:
            return Canonical(column, "time", as_time(raw[column]), needed=needed, instead=instead)
        return Canonical(None, "time", None if copies else ibis.null("timestamp(6)"), copies, delay)

    def text(column: str | None, *, needed: bool = False) -> Canonical:
        value = ibis.null("string") if column is None else as_text(raw[column])
        return Canonical(column, "text", value, needed=needed)

    found: dict[str, Canonical] = {"customer_id": text(config.key, needed=True)}
    if isinstance(config, CustomersTable) and config.start is not None:
        found["subscription_id"] = text(config.id)
        found["start"] = time(config.start, needed=True)
        found["start_available_at"] = time(config.start_available_at, copies="start", needed=True)
        found["end"] = time(config.end)
        found["end_available_at"] = time(config.end_available_at, copies="end", instead="end")
        found["end_reason"] = text(config.end_reason)
        found["notice"] = time(config.notice)
    elif isinstance(config, HistoryTable):
        found["valid_from"] = time(config.valid_from, needed=True)
        found["valid_to"] = time(config.valid_to)
        found["available_at"] = time(config.available_at, copies="valid_from", needed=True)
        found["closed_available_at"] = time(config.closed_available_at, copies="valid_to", instead="valid_to")
    elif isinstance(config, EventsTable):
        found["event_id"] = text(config.id)
        found["event_time"] = time(config.time, needed=True)
        found["available_at"] = time(config.available_at, copies="event_time", delay=config.delay.days, needed=True)
        found["deleted"] = Canonical(config.deleted, "boolean", _deleted(config, raw))
    for name, column in config.columns.items():
        found[f"c_{name}"] = Canonical(name, column.type, canonical(raw[name], column), declared=True)
    return found


def _deleted(config: EventsTable, raw: Any) -> Any:
    no = ibis.literal(0, "int64")
    if config.deleted is None:
        return no
    return as_text(raw[config.deleted]).isnull().ifelse(no, as_boolean(raw[config.deleted]))  # blank deletes nothing


def parsed(raw: Any, columns: Mapping[str, Canonical], zone: str) -> Any:
    """The canonical columns of a raw table, and its cells. It is made in steps, so that nothing is computed twice.

    Parameters
    ----------
    zone : of times that are written without one

    Returns
    -------
    Ibis table
        ``<name>``; ``r_<name>``, the cell; ``z_<name>``, of a time in text: `CLOCK_ALONE`, `CLOCK_AND_ZONE`, or 0.
    """
    given = {name: column for name, column in columns.items() if column.value is not None}
    sourced = {name: column.source for name, column in given.items() if column.source is not None}
    times = [name for name in sourced if columns[name].type == "time"]
    in_text = [name for name in times if raw[sourced[name]].type().is_string()]
    table = raw.select(
        **{name: column.value for name, column in given.items()},
        **{f"r_{name}": raw[source] for name, source in sourced.items()},
        **{f"z_{name}": _clock(raw[sourced[name]]) for name in in_text},
    )
    if times:
        table = table.mutate(**{name: bounded(table[name]) for name in times})
    if zone != "UTC":
        for name in times:
            type_ = raw[sourced[name]].type()
            if name in in_text:
                alone = table[f"z_{name}"] == CLOCK_ALONE
                table = table.mutate(**{name: alone.ifelse(local_to_utc(table[name], zone), table[name])})
            elif type_.is_timestamp() and type_.timezone is None:
                table = table.mutate(**{name: local_to_utc(table[name], zone)})
    copies = {n: _later(table[c.copies], c.delay) for n, c in columns.items() if c.copies is not None}
    return table.mutate(**copies) if copies else table


def _later(time: Any, days: int) -> Any:
    return time + ibis.interval(days=days) if days else time


def _clock(raw: Any) -> Any:
    text = as_text(raw)
    zone = text.re_search(r"[A-Za-z]$|:.*[+-]").ifelse(CLOCK_AND_ZONE, CLOCK_ALONE)
    return text.contains(":").ifelse(zone, 0).fill_null(0).cast("int8")


def present(cell: Any) -> Any:
    """Whether a raw cell holds anything."""
    if cell.type().is_string():
        return cell.strip().nullif("").notnull()
    return cell.notnull() | cell.isnan() if cell.type().is_floating() else cell.notnull()
