"""Declared tables -> canonical engine tables.

Canonical names, whatever the source calls them::

    customers  customer_id, start, start_available_at, end, end_available_at, <attributes>
    history    customer_id, valid_from, valid_to, available_at, closed_available_at, <columns>
    events     customer_id, event_id, event_time, available_at, deleted, <columns>
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.clock import naive, utc
from holdfast.config.base import LAST_YEAR
from holdfast.config.data import CustomersTable, DataSection, EventsTable, HistoryTable, Table
from holdfast.errors import DataError, Problem, did_you_mean
from holdfast.sources.columns import as_boolean, as_text, as_time, canonical
from holdfast.sources.contract import Raw, check_table
from holdfast.sources.files import table_files


@dataclass(frozen=True)
class SourceTable:
    """One canonical table: ``table`` is Ibis, ``config`` its declaration."""

    name: str
    config: Table
    table: Any
    rows: int
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """All canonical tables of a project."""

    tables: Mapping[str, SourceTable]
    watermark: datetime
    """The first midnight at which every row was available, and a lower bound of when the sources were extracted.

    An end or a closing without an availability of its own may be planned: it counts only from when it happens, and
    says nothing of when the extract was made. It does not move the watermark. Nor does an availability after
    `LAST_YEAR`, which says "never".
    """

    @property
    def customers(self) -> SourceTable:
        return next(t for t in self.tables.values() if isinstance(t.config, CustomersTable))

    def of_kind(self, kind: type) -> dict[str, SourceTable]:
        """Tables of one declaration type, by name."""
        return {n: t for n, t in self.tables.items() if isinstance(t.config, kind)}


def load_sources(engine: Engine, data: DataSection, root: Path) -> Sources:
    """Read, type and check every declared table.

    Parameters
    ----------
    root : the folder that table paths are relative to

    Raises
    ------
    DataError
        Tables are missing or not as declared; all problems of all tables together.
    """
    problems: list[Problem] = []
    found: dict[str, SourceTable] = {}
    for number, (name, config) in enumerate(data.tables.items()):
        try:
            found[name] = _load_table(engine, name, config, root, number)
        except DataError as e:
            problems += e.problems
    if problems:
        raise DataError("the sources are not as declared", problems)
    return Sources(found, _watermark(engine, found))


def _load_table(engine: Engine, name: str, config: Table, root: Path, number: int) -> SourceTable:
    where = f"table '{name}'"
    files = table_files(root, config.path, where=f"data.tables.{name}.path")
    physical = engine.columns(files)
    missing = [
        Problem(f"{where} ({root / config.path})", f"column '{c}' is missing", did_you_mean(c, physical))
        for c in _declared(config)
        if c not in physical
    ]
    if missing:
        raise DataError(f"{where} is not as declared", missing)
    raw = engine.read(files, f"raw_{number}", text=files[0].suffix.lower() == ".csv")
    canonical_columns = _canonical(config, raw)
    both = raw.select(
        **{f"r_{k}": raw[c.raw] if c.raw else ibis.null("string") for k, c in canonical_columns.items()},
        **{k: c.expression for k, c in canonical_columns.items()},
    )
    typed = engine.materialize(both, f"typed_{number}")
    notes = check_table(engine, typed, name, config, canonical_columns, str(root / config.path))
    table = engine.materialize(_distinct(typed.select(*canonical_columns), config), f"source_{number}")
    engine.drop(f"typed_{number}")
    rows = int(notes["rows"])
    kept = int(engine.to_arrow(table.aggregate(n=table.count())).column("n")[0].as_py())
    return SourceTable(name, config, table, rows, {**notes, "exact_duplicates_dropped": rows - kept})


def _declared(config: Table) -> list[str]:
    names: list[str | None] = [config.key, *config.columns]
    if isinstance(config, CustomersTable):
        names += [config.start, config.start_available_at, config.end, config.end_available_at]
    elif isinstance(config, HistoryTable):
        names += [config.valid_from, config.valid_to, config.available_at, config.closed_available_at]
    else:
        names += [config.id, config.time, config.available_at, config.deleted]
    return list(dict.fromkeys(n for n in names if n is not None))


def _canonical(config: Table, raw: Any) -> dict[str, Raw]:
    """Canonical name -> where it comes from and its expression."""

    def time(column: str | None, default: Any) -> Raw:
        return Raw(column, "time", as_time(raw[column]) if column else default)

    key = Raw(config.key, "text", as_text(raw[config.key]))
    found: dict[str, Raw] = {"customer_id": key}
    if isinstance(config, CustomersTable):
        start, end = as_time(raw[config.start]), as_time(raw[config.end])
        found["start"] = Raw(config.start, "time", start)
        found["start_available_at"] = time(config.start_available_at, start)
        found["end"] = Raw(config.end, "time", end)
        found["end_available_at"] = time(config.end_available_at, end)
    elif isinstance(config, HistoryTable):
        valid_from = as_time(raw[config.valid_from])
        found["valid_from"] = Raw(config.valid_from, "time", valid_from)
        found["valid_to"] = time(config.valid_to, ibis.null("timestamp(6)"))
        found["available_at"] = time(config.available_at, valid_from)
        found["closed_available_at"] = time(config.closed_available_at, found["valid_to"].expression)
    else:
        event_time = as_time(raw[config.time])
        found["event_id"] = Raw(config.id, "text", as_text(raw[config.id]) if config.id else ibis.null("string"))
        found["event_time"] = Raw(config.time, "time", event_time)
        late = event_time + ibis.interval(days=config.delay.days) if config.delay.days else event_time
        found["available_at"] = time(config.available_at, late)
        deleted = ibis.literal(0, "int64")
        if config.deleted:  # a blank cell deletes nothing
            flag = raw[config.deleted]
            deleted = as_text(flag).isnull().ifelse(deleted, as_boolean(flag))
        found["deleted"] = Raw(config.deleted, "boolean", deleted)
    for name, column in config.columns.items():
        found[f"c_{name}"] = Raw(name, column.type, canonical(raw[name], column))
    return found


def _distinct(table: Any, config: Table) -> Any:
    """Exact copies of an identified row say nothing new; rows without an id may be equal and distinct."""
    if not isinstance(config, EventsTable):
        return table.distinct()
    if config.id is None:
        return table
    identified = table.filter(table.event_id.notnull()).distinct()
    return identified.union(table.filter(table.event_id.isnull()), distinct=False)


def _watermark(engine: Engine, tables: Mapping[str, SourceTable]) -> datetime:
    never = ibis.literal(naive(utc(date(LAST_YEAR + 1, 1, 1)))).cast("timestamp(6)")
    latest: list[datetime] = []
    for source in tables.values():
        t, config = source.table, source.config
        columns = ["available_at"]
        if isinstance(config, CustomersTable):
            columns = ["start_available_at", *(["end_available_at"] if config.end_available_at else [])]
        elif isinstance(config, HistoryTable) and config.closed_available_at:
            columns.append("closed_available_at")
        row = engine.to_arrow(t.aggregate(**{c: t[c].max(where=t[c] < never) for c in columns})).to_pylist()[0]
        latest += [utc(v) for v in row.values() if v is not None]
    if not latest:
        what = "nothing in it was ever available"
        raise DataError("the sources are not as declared", [Problem("data.tables", what, "Check the times.")])
    return utc(max(latest).date()) + timedelta(days=1)
