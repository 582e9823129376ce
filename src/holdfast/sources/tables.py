"""Declared tables -> canonical engine tables.

Canonical names, whatever the source calls them::

    customers  customer_id, subscription_id, start, start_available_at, end, end_available_at, end_reason, notice,
               c_<column>…; of a table without start only customer_id, c_<column>…
    history    customer_id, valid_from, valid_to, available_at, closed_available_at, c_<column>…
    events     customer_id, event_id, event_time, available_at, deleted, c_<column>…, repeats (whether other rows may
               have its event_id)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from holdfast.artifacts.engine import Engine
from holdfast.artifacts.versions import instant
from holdfast.clock import utc
from holdfast.config.base import LAST_YEAR
from holdfast.config.data import CustomersTable, DataSection, HistoryTable, Table
from holdfast.errors import DataError, Problem
from holdfast.sources.checks import happens
from holdfast.sources.contract import Finding
from holdfast.sources.customers import spans
from holdfast.sources.databases import Databases
from holdfast.sources.loading import Load, Loaded, load_table

NEVER = utc(date(LAST_YEAR + 1, 1, 1))
"""An availability from then on says "never": such rows do not exist."""


@dataclass(frozen=True)
class SourceTable:
    """One canonical table.

    Attributes
    ----------
    config, table : its declaration, and the Ibis table
    rows : how many were read
    notes : ``rows``, ``exact_duplicates_dropped``, and by check what was ``warned`` of and ``dropped``: the same
        whenever the same rows are read
    findings : the same in words and with examples, and rows in the future: these depend on the wall clock
    """

    name: str
    config: Table
    table: Any
    rows: int
    notes: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


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
    def stays(self) -> SourceTable | None:
        """The table with starts and ends; None where churn is inactivity without one."""
        for source in self.tables.values():
            if isinstance(source.config, CustomersTable) and source.config.start is not None:
                return source
        return None

    def of_kind(self, kind: type) -> dict[str, SourceTable]:
        """Tables of one declaration type, by name."""
        return {n: t for n, t in self.tables.items() if isinstance(t.config, kind)}


def load_sources(
    engine: Engine, data: DataSection, root: Path, *, known_as_of: datetime | None = None, scratch: Path | None = None,
    now: datetime | None = None, environ: Mapping[str, str] = os.environ,
) -> Sources:  # fmt: skip
    """Read, type and check every declared table.

    Parameters
    ----------
    root : the folder that table paths are relative to
    known_as_of : rows available at or after it are neither read nor checked; they do not exist
    scratch : where to put what is read from databases, for as long as it takes; by default the system's
    now : the wall clock; only to tell what lies in the future
    environ : holds the urls of databases that have a password

    Raises
    ------
    DataError
        Tables are missing or not as declared; all problems of all tables together.
    StoreError
        A database cannot be reached, or broke off.
    """
    problems: list[Problem] = []
    found: dict[str, SourceTable] = {}
    stays = data.stays
    order = sorted(data.tables, key=lambda name: stays is None or name != stays[0])  # the others are held against it
    with Databases(root, scratch, environ) as databases:
        load = Load(engine, root, databases, data.label.churn, known_as_of or NEVER, now or _this_hour())
        for number, name in enumerate(order):
            config = data.tables[name]
            try:
                loaded = load_table(load, name, config, number)
            except DataError as e:
                problems += e.problems
                continue
            found[name] = SourceTable(name, config, loaded.table, loaded.rows, _notes(loaded), loaded.findings)
            if stays is not None and name == stays[0]:
                load = replace(load, known=(name, spans(engine, loaded.table, known_as_of)))
    if problems:
        raise DataError("the sources are not as declared", problems)
    tables = {name: found[name] for name in data.tables}
    watermark = _watermark(engine, tables, known_as_of)
    return Sources(
        {n: _without_plans(engine, s, known_as_of or watermark) for n, s in tables.items()}, watermark
    )  # fmt: skip


def _this_hour() -> datetime:
    """The wall clock, to the hour: with every second, statements would be others each time, and compiled anew."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def _notes(loaded: Loaded) -> dict[str, Any]:
    """Counts for the manifest. What is in the future depends on when one looks, and changes nothing that is built."""
    notes: dict[str, Any] = {
        "rows": loaded.rows, "exact_duplicates_dropped": loaded.duplicates, "warned": {}, "dropped": {},
    }  # fmt: skip
    for finding in loaded.findings:
        if finding.check != "future":
            counts = notes["warned" if finding.done == "warn" else "dropped"]
            counts[finding.check] = counts.get(finding.check, 0) + finding.count
    return notes


def _without_plans(engine: Engine, source: SourceTable, known_as_of: datetime) -> SourceTable:
    """Leave out what happens only later than the build knows, where ``future`` says drop.

    Whether a row lies in the future of the wall clock is another question every day. This one has one answer, and
    no snapshot sees the difference.
    """
    found = happens(source.config)
    if found is None or source.config.on_violation("future") != "drop":
        return source
    table = source.table.filter(source.table[found[0]] < instant(known_as_of))
    return replace(source, table=table)


def _watermark(engine: Engine, tables: Mapping[str, SourceTable], known_as_of: datetime | None) -> datetime:
    latest: list[datetime] = []
    for source in tables.values():
        t, config = source.table, source.config
        columns = ["available_at"]
        if isinstance(config, CustomersTable):
            columns = [] if config.start is None else ["start_available_at"]
            columns += ["end_available_at"] if config.end_available_at else []
        elif isinstance(config, HistoryTable) and config.closed_available_at:
            columns.append("closed_available_at")
        if columns:
            aggregates = {c: t[c].max(where=t[c] < instant(NEVER)) for c in columns}
            row = engine.to_arrow(t.aggregate(**aggregates)).to_pylist()[0]
            latest += [utc(v) for v in row.values() if v is not None]
    if not latest and known_as_of is not None:
        return known_as_of  # too early for anything; the build says so
    if not latest:
        what = "nothing in it was ever available"
        raise DataError("the sources are not as declared", [Problem("data.tables", what, "Check the times.")])
    return utc(max(latest).date()) + timedelta(days=1)
