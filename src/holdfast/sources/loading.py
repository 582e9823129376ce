"""One declared table, from its files or database to a canonical engine table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.artifacts.files import Stamp, stamps
from holdfast.artifacts.versions import instant, marked
from holdfast.config.data import CustomersTable, EventsTable, Table
from holdfast.errors import DataError, Problem
from holdfast.sources.canonical import Canonical, canonical_columns, parsed
from holdfast.sources.checks import RowCheck, customer_checks, row_checks
from holdfast.sources.contents import explained, require_readable
from holdfast.sources.contract import Finding, Report, findings, kept, masked, mixed_zones, rows_of
from holdfast.sources.customers import beside
from holdfast.sources.databases import Databases
from holdfast.sources.files import empty, require_columns, table_files
from holdfast.sources.identity import overlapping, require_churner, settle, subject_of, unique_values

AVAILABLE = ("available_at", "start_available_at")
"""The canonical columns of when a row became available."""
MANY_FILES = 100
"""Of more files than this, none is searched for the first violation."""


@dataclass(frozen=True)
class Load:
    """What is the same for all tables of a project.

    Attributes
    ----------
    known_as_of : rows available from then on do not exist
    now : the wall clock
    known : the name of the table with stays, and its `holdfast.sources.customers.spans`, once it is there
    """

    engine: Engine
    root: Path
    databases: Databases
    churn: str
    known_as_of: datetime
    now: datetime
    known: tuple[str, Any] | None = None


@dataclass(frozen=True)
class Loaded:
    """A canonical table, the rows that were read, the exact copies left out, and what was warned of or dropped."""

    table: Any
    rows: int
    duplicates: int
    findings: tuple[Finding, ...]


def load_table(load: Load, name: str, config: Table, number: int) -> Loaded:
    """Read, type and check one table.

    Raises
    ------
    DataError
        It is missing, empty or not as declared, or its files changed while they were read.
    StoreError
        Its database cannot be read.
    """
    if config.database is not None:
        copies, place = load.databases.files(name, config, load.known_as_of)
        return _read(load, config, copies, f"table '{name}' ({place})", number)
    files = table_files(load.root, config.path or "", where=f"data.tables.{name}.path")
    where = f"table '{name}' ({load.root / (config.path or '')})"
    before = stamps(files)
    try:
        loaded = _from_files(load, config, files, where, number)
    except Exception as e:
        _require_unchanged(before, where, e)  # what an engine says of such files is about neither state
        raise
    _require_unchanged(before, where, None)
    return loaded


def _from_files(load: Load, config: Table, files: Sequence[Path], where: str, number: int) -> Loaded:
    require_readable(files, config.source_columns())
    try:
        return _read(load, config, files, where, number)
    except DataError as e:
        if files[0].suffix.lower() != ".csv" or any(p.where.startswith(where) for p in e.problems):
            raise
        raise explained(e, files) from e


def _require_unchanged(before: Mapping[Path, Stamp | None], where: str, error: Exception | None) -> None:
    """Refuse a table whose files are not those that its reading began with."""
    now = stamps(list(before))
    changed = [file for file in before if now[file] != before[file]]
    if changed:
        gone = now[changed[0]] is None
        what = f"{changed[0].name} {'vanished' if gone else 'changed'} while it was read"
        fix = "Run it again when nothing writes there; let exports write elsewhere and rename."
        raise DataError("a source changed", [Problem(where, what, fix)]) from error


def _read(load: Load, config: Table, files: Sequence[Path], where: str, number: int) -> Loaded:
    engine = load.engine
    require_columns(engine.columns(files), config, where)
    cells, raw, columns = _cells(load, config, files, f"raw_{number}")
    cells, some = _marked(load, config, cells, raw, columns, f"source_{number}_again")
    if load.known is not None:
        cells = beside(cells, load.known[1])
    checks = row_checks(cells, config, columns, now=load.now)
    if load.known is not None:
        checks += customer_checks(cells, config, load.known[0])
    report = Report(where, lambda check: _first_file(load, config, files, check))

    masks = engine.materialize(masked(cells, columns, checks), f"source_{number}")
    rows, bad = rows_of(engine, masks)
    if not rows and config.database is None and not engine.to_arrow(raw.limit(1)).num_rows:
        raise empty(where)
    found = findings(engine, masks, cells, checks, rows, report) if bad else []
    table, mixed = mixed_zones(engine, masks, cells, config, columns, rows, report)
    found += mixed
    _require_none(found, where)
    table = (kept(table, checks) if bad else table).select(*columns, "repeats")

    duplicates = 0
    if some:
        table, duplicates, contradictions = settle(engine, table, config, where, name=f"source_{number}")
        found += contradictions
    if not isinstance(config, EventsTable):
        table = table.drop("repeats")
    for look in (unique_values, overlapping):
        table, more = look(engine, table, config, where)
        if any(finding.done == "drop" for finding in more):  # what is left out is not to be found again and again
            table = engine.materialize(table, f"{look.__name__}_{number}")
        found += more
    _require_none(found, where)
    if isinstance(config, CustomersTable) and config.start is not None and load.churn == "contractual" and rows:
        require_churner(engine, table, config, where)
    left_out = any(finding.done == "drop" for finding in found)
    if left_out and not engine.to_arrow(table.limit(1)).num_rows:
        raise DataError("a source is empty", [Problem(where, "has no rows left: every one was dropped")])
    return Loaded(table, rows, duplicates, tuple(found))


def _cells(load: Load, config: Table, files: Sequence[Path], name: str) -> tuple[Any, Any, Any]:
    """The parsed rows that exist by ``known_as_of``, the raw table, and what the canonical columns are."""
    raw = load.engine.read(files, name, text=files[0].suffix.lower() == ".csv")
    columns = canonical_columns(config, raw)
    return _existing(load, parsed(raw, columns, config.timezone)), raw, columns


def _existing(load: Load, cells: Any) -> Any:
    """The parsed rows that exist by ``known_as_of``."""
    available = next((cells[c] for c in AVAILABLE if c in cells.columns), None)
    return cells if available is None else cells.filter((available < instant(load.known_as_of)) | available.isnull())


def _marked(
    load: Load, config: Table, cells: Any, raw: Any, columns: Mapping[str, Canonical], name: str
) -> tuple[Any, bool]:
    """`holdfast.artifacts.versions.marked` of parsed rows; only the columns that it takes are read for it."""
    keys = subject_of(config)
    if not keys:
        return cells.mutate(repeats=ibis.literal(False)), False
    read = dict.fromkeys([*keys, *(c for c in AVAILABLE if c in columns)])
    read |= dict.fromkeys(c for name in read if (c := columns[name].copies) is not None)
    rows = _existing(load, parsed(raw, {c: columns[c] for c in read}, config.timezone))
    return marked(load.engine, cells, keys, name, rows=rows)


def _require_none(found: Sequence[Finding], where: str) -> None:
    if problems := [f.problem for f in found if f.done == "error"]:
        raise DataError(f"{where} is not as declared", problems)


def _first_file(load: Load, config: Table, files: Sequence[Path], check: RowCheck) -> str | None:
    """The name of the first of several files with a row that violates a check, if it is about a row by itself."""
    if not 1 < len(files) <= MANY_FILES:
        return None
    for file in files:
        if set(config.source_columns()) <= set(load.engine.columns([file])):
            cells, _, columns = _cells(load, config, [file], "one_file")
            same = [c for c in row_checks(cells, config, columns, now=load.now) if _is_same(c, check)]
            if same and load.engine.to_arrow(cells.filter(same[0].bad).limit(1)).num_rows:
                return file.name
    return None


def _is_same(one: RowCheck, other: RowCheck) -> bool:
    return (one.check, one.source, one.what) == (other.check, other.source, other.what)
