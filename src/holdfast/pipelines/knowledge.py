"""What is known when: the sources of a project, and of their rows and cells those that were available by then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import ibis

from holdfast.artifacts.engine import Engine
from holdfast.artifacts.versions import instant
from holdfast.clock import iso, utc
from holdfast.config.data import CustomersTable, DataSection, EventsTable, HistoryTable
from holdfast.config.schema import Config
from holdfast.errors import ConfigError, NotReadyError, Problem
from holdfast.features.definitions import FEATURES_VERSION
from holdfast.pipelines.bootstrap import Workspace
from holdfast.snapshots.calendar import Cutoff
from holdfast.sources.fetch import DATASETS as PUBLIC_DATASETS
from holdfast.sources.tables import Sources, load_sources
from holdfast.types import DatasetId

ID_LENGTH = 16
DATASET_SECTIONS = ("data", "features")
"""What of the configuration a dataset depends on."""
IMPORTED = ("cdnow",)
"""Public data sets that `holdfast import` reads and `holdfast fetch` does not download."""


@dataclass(frozen=True)
class Knowledge:
    """The knowledge time of a build, and how far labels are complete."""

    known_as_of: datetime
    complete_through: datetime


def open_sources(
    workspace: Workspace, engine: Engine, known_as_of: datetime | None = None, *, only: Collection[str] | None = None
) -> Sources:
    """Load and check the declared tables, as far as they are known by ``known_as_of`` (by default as configured).

    Parameters
    ----------
    only : names of the tables to read; by default all

    Raises
    ------
    NotReadyError
        Nothing was put into ``sources`` yet.
    DataError
        Tables are missing or not as declared.
    """
    data = workspace.config.data
    in_files = any(table.path is not None for table in data.tables.values())
    if in_files and not workspace.sources.exists() and not Path(data.sources).is_absolute():
        verb = "holdfast simulate" if data.simulate else f"holdfast import {workspace.name}"
        known = data.simulate is not None or workspace.name in (*PUBLIC_DATASETS, *IMPORTED)
        fix = f"Run: {verb}" if known else "Put the tables there, or set data.sources in data.yaml."
        raise NotReadyError(f"there are no tables yet: {workspace.sources} does not exist", fix=fix)
    known_by = known_as_of or data.known_as_of
    if only is not None:
        data = data.model_copy(update={"tables": {n: t for n, t in data.tables.items() if n in only}})
    return load_sources(engine, data, workspace.sources, known_as_of=known_by, scratch=workspace.var / "tmp")


def knowledge_of(config: Config, sources: Sources, known_as_of: datetime | None) -> Knowledge:
    """known_as_of and complete_through by argument, configuration, or the sources' watermark."""
    known = known_as_of or config.data.known_as_of or sources.watermark
    return Knowledge(known, min(known, config.data.complete_through or known))


def sources_begin(engine: Engine, sources: Sources, known_as_of: datetime) -> datetime:
    """When the sources begin, of what was known: the earliest event; without any, version; without any, customer.

    Raises
    ------
    ConfigError
        Nothing was known yet.
    """
    for kind, column in ((EventsTable, "event_time"), (HistoryTable, "valid_from"), (CustomersTable, "start")):
        tables = [s.table for s in sources.of_kind(kind).values() if column in s.table.columns]
        known = [known_cells(t, known_as_of) for t in tables]
        rows = [engine.to_arrow(t.aggregate(first=t[column].min())).to_pylist()[0] for t in known]
        firsts = [utc(row["first"]) for row in rows if row["first"] is not None]
        if firsts:
            return min(firsts)
    what = f"no row of any table was available before {iso(known_as_of)}"
    raise ConfigError(
        "the configuration does not fit the data", [Problem("data.known_as_of", what, "Choose a later one.")]
    )


def known_tables(tables: Mapping[str, Any], data: DataSection, known_as_of: datetime) -> dict[str, Any]:
    """Every table as it was at ``known_as_of``; attributes without a time of their own are known with the customer."""
    found = {name: known_cells(table, known_as_of) for name, table in tables.items()}
    who = found[data.stays[0] if data.stays is not None else data.label.events or ""].select("customer_id").distinct()
    timeless = [n for n, t in data.tables.items() if isinstance(t, CustomersTable) and t.start is None]
    return found | {name: found[name].semi_join(who, "customer_id") for name in timeless}


def known_cells(table: Any, known_as_of: datetime) -> Any:
    """The rows, and of those the cells, that were available before ``known_as_of``."""
    now = instant(known_as_of)
    if "available_at" in table.columns:
        known = table.filter(table.available_at < now)
        if "closed_available_at" not in table.columns:
            return known
        closed = known.valid_to.notnull() & (known.closed_available_at < now).fill_null(False)
        return known.mutate(**_only(known, closed, "valid_to", "closed_available_at"))
    if "start" not in table.columns:
        return table
    known = table.filter(table.start_available_at < now)
    ended = known.end.notnull() & (known.end_available_at < now).fill_null(False)
    given = (known.notice < now).fill_null(False)
    return known.mutate(
        **_only(known, ended, "end", "end_available_at", "end_reason"), **_only(known, given, "notice")
    )  # fmt: skip


def _only(table: Any, condition: Any, *columns: str) -> dict[str, Any]:
    return {c: condition.ifelse(table[c], ibis.null(table[c].type())) for c in columns}


def facts(engine: Engine, sources: Sources, data: DataSection, known_as_of: datetime) -> dict[str, dict[str, Any]]:
    """Rows and an order-free hash of what was known (DESIGN 3.10), and nothing of what was not: a replay is equal."""
    return noted(sources, facts_at(engine, sources, data, [known_as_of])[0])


def noted(sources: Sources, known: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The facts with what was warned of and left out. A replay reads only what was known, and finds the same.

    Rows that do not say when they were known could not be told again, and say nothing.
    """
    counts = ("warned", "dropped", "exact_duplicates_dropped")
    found: dict[str, dict[str, Any]] = {}
    for name, fact in known.items():
        source = sources.tables[name]
        timed = {"available_at", "start_available_at"} & set(source.table.columns)
        found[name] = {**fact, **{c: source.notes[c] for c in counts if timed and source.notes.get(c)}}
    return found


def facts_at(
    engine: Engine, sources: Sources, data: DataSection, instants: Sequence[datetime]
) -> list[dict[str, dict[str, Any]]]:
    """By instant and table, rows and an order-free hash of what was known then; events are read once for all."""
    tables = {name: source.table for name, source in sources.tables.items()}
    known = [known_tables(tables, data, at) for at in instants]
    found: list[dict[str, dict[str, Any]]] = [{} for _ in instants]
    for name, table in tables.items():
        config = data.tables[name]
        if isinstance(config, EventsTable):
            derived = {"event_id": config.id, "available_at": config.available_at, "deleted": config.deleted}
            derived["repeats"] = None
            read = sorted(c for c in table.columns if derived.get(c, c) is not None)  # the others say nothing more
            rows = table.select("available_at", h=engine.row_hash(table, read))
            told = _hashed(engine, rows, [rows.available_at < instant(at) for at in instants])
        else:
            hashes = (t[name].select(h=engine.row_hash(t[name], sorted(t[name].columns))) for t in known)
            told = [_hashed(engine, h, [None])[0] for h in hashes]
        for facts_then, fact in zip(found, told, strict=True):
            facts_then[name] = fact
    return found


def _hashed(engine: Engine, rows: Any, conditions: Sequence[Any]) -> list[dict[str, Any]]:
    sums: dict[str, Any] = {}
    for i, condition in enumerate(conditions):
        sums[f"rows_{i}"] = rows.count(where=condition)
        sums[f"total_{i}"] = rows.h.cast("decimal(38, 0)").sum(where=condition)
    row = engine.to_arrow(rows.aggregate(**sums)).to_pylist()[0]
    totals = (int(row[f"total_{i}"] or 0) % (1 << 64) for i in range(len(conditions)))
    return [{"rows_known": int(row[f"rows_{i}"]), "hash": f"{total:016x}"} for i, total in enumerate(totals)]


def dataset_id(
    config: Config, cutoffs: Sequence[Cutoff], known: Mapping[str, Mapping[str, Any]], knowledge: Knowledge
) -> DatasetId:
    """The id of what a build will give: a hash of all that goes into it, and of nothing else."""
    what = {
        "config": config.hash(*DATASET_SECTIONS),
        "cutoffs": [iso(c.at) for c in cutoffs],
        "sources": {name: [f["rows_known"], f["hash"]] for name, f in known.items()},
        "known_as_of": iso(knowledge.known_as_of),
        "complete_through": iso(knowledge.complete_through),
        "features_version": FEATURES_VERSION,
    }
    return DatasetId(hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:ID_LENGTH])
