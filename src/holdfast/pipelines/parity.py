"""``holdfast materialize --verify``: customers as served, and computed again from the tables and the bundle."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.artifacts.engine import Engine
from holdfast.clock import iso
from holdfast.config.data import DataSection, EventsTable, HistoryTable
from holdfast.errors import DataError, StoreError
from holdfast.models.bundle import Bundle
from holdfast.monitoring.parity import Difference, ParityReport, Row, differences, same
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.knowledge import knowledge_of, open_sources
from holdfast.pipelines.score import cutoff_features, cutoff_population
from holdfast.scoring.predictor import score_rows
from holdfast.sources.tables import Sources
from holdfast.stores.online import GenerationMeta, OnlineRow
from holdfast.stores.online_pack import DECISION_FIELDS
from holdfast.stores.scores import DECISIONS, FEATURES, SCORES, ScoredRows, scored_rows

SAMPLE = 200
"""Customers looked at; by another cutoff, others."""
SCORE_COLUMNS = ("probability", "tier", "reasons")
DECISION_COLUMNS = ("segment", "expected_value", *DECISION_FIELDS)


def verify_serving(workspace: Workspace, *, sample: int = SAMPLE) -> ParityReport:
    """Compare a sample of what serves with what the tables and the bundle give, bit for bit. Nothing is written.

    Raises
    ------
    DataError
        Values differ; each column is named, with customers.
    NotReadyError, NotFoundError
        Nothing serves yet, or what it was made of is gone.
    StoreError
        The online store, or the bundle that it names, cannot be read.
    """
    with workspace.engine() as engine:
        report = check_parity(workspace, engine, open_sources(workspace, engine), sample=sample)
    if problems := report.problems():
        raise DataError(f"generation {report.generation} of {iso(report.cutoff)} is not what it should be", problems)
    return report


def check_parity(workspace: Workspace, engine: Engine, sources: Sources, *, sample: int = SAMPLE) -> ParityReport:
    """The same of sources that are open; what differs is in the report.

    The sample is drawn by the generation's cutoff from those whom the tables say to score then. What a table does not
    say the history of is taken as it was stored; if that is not what it says now, the report counts it.
    """
    notes: list[str] = []
    reader = workspace.online.reader()
    try:
        meta = reader.meta
        batches = {kind: scored_rows(workspace.var, kind, meta.cutoff) for kind in (FEATURES, SCORES, DECISIONS)}
        again = _again(workspace, engine, sources, meta, sample, notes)
        ids = _drawn(_ids(batches[FEATURES]), meta.cutoff, sample) if again is None else again.column(0).to_pylist()
        online = reader.get_many(ids)
    finally:
        reader.close()
    stored, features = _stored(batches, meta, ids, notes)
    computed: dict[str, Row] = {}
    if again is not None:
        again = _as_replayed(again, features, workspace.config.data, meta, notes)
        computed = _rows("features", again, meta.schema.names)
        scored = score_rows(_bundle(workspace, meta), again, workspace.config.scoring, model_version=meta.model_version)
        computed = _merged(computed, _rows("score", scored, SCORE_COLUMNS))
    changed = meta.config_hash != workspace.config.hash()
    served = {customer: _decoded(row) for customer, row in online.items()}
    found, excused = differences(served, stored, computed, excused=changed)
    if meta.rows != (rows := batches[FEATURES].rows):
        found.append(Difference("everyone", "rows", "online", meta.rows, rows))
    if excused:
        n, columns = sum(excused.values()), ", ".join(sorted(excused)[:5])
        notes.append(f"the configuration has changed since: {n} values would now be others ({columns})")
    return ParityReport(
        meta.generation, meta.cutoff, meta.model_version, meta.rows, len(ids), tuple(found), tuple(notes)
    )  # fmt: skip


def _again(
    workspace: Workspace, engine: Engine, sources: Sources, meta: GenerationMeta, sample: int, notes: list[str]
) -> pa.Table | None:
    """Features of a sample of the cutoff's customers, computed now, by customer_id; None where that cannot be."""
    config, at = workspace.config, meta.cutoff
    knowledge = knowledge_of(config, sources, None)
    if at > knowledge.known_as_of:
        notes.append(f"the tables reach to {iso(knowledge.known_as_of)} only: nothing could be computed again")
        return None
    population = cutoff_population(engine, config, sources, at)
    everyone = engine.to_arrow(population.select("customer_id").order_by("customer_id")).column(0)
    drawn = pa.table({"customer_id": pa.array(_drawn(everyone, at, sample), pa.string())})
    some = engine.materialize(population.semi_join(engine.from_arrow(drawn, "drawn"), "customer_id"), "some_of_them")
    features, schema = cutoff_features(engine, config, sources, at, at, some)
    if schema.sha256 != meta.schema.sha256:
        notes.append("other features are configured now: nothing could be computed again")
        return None
    return engine.to_arrow(features).sort_by("customer_id")


def _drawn(ids: pa.ChunkedArray, at: datetime, sample: int) -> list[str]:
    """Some of the customers, ascending: others at another cutoff, the same whenever it is asked."""
    rng = np.random.default_rng(zlib.crc32(iso(at).encode()))
    places = np.sort(rng.choice(len(ids), min(sample, len(ids)), replace=False))
    found: list[str] = ids.take(pa.array(places)).to_pylist()
    return found


def _ids(batch: ScoredRows) -> pa.ChunkedArray:
    return pa.chunked_array([c for t in batch.batches() for c in t.column("customer_id").chunks], pa.string())


def _stored(
    batches: dict[str, ScoredRows], meta: GenerationMeta, ids: Sequence[str], notes: list[str]
) -> tuple[dict[str, Row], pa.Table]:
    """What was stored of the customers, and the features alone; a batch of another model says nothing."""
    wanted = pa.array(ids, pa.string())
    tables = {
        kind: pa.concat_tables([batch.schema.empty_table(), *(_of(t, wanted) for t in batch.batches())])
        for kind, batch in batches.items()
    }
    found = _rows("features", tables[FEATURES], meta.schema.names)
    for kind, prefix, columns in ((SCORES, "score", SCORE_COLUMNS), (DECISIONS, "decision", DECISION_COLUMNS)):
        manifest = batches[kind].manifest
        if manifest["bundle_sha256"] == meta.bundle_sha256:
            found = _merged(found, _rows(prefix, tables[kind], columns))
        else:
            notes.append(f"the {kind} of {iso(meta.cutoff)} are by version {manifest['model_version']} now")
    return found, tables[FEATURES]


def _of(table: pa.Table, customers: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table.column("customer_id"), customers))


def _as_replayed(
    again: pa.Table, stored: pa.Table, data: DataSection, meta: GenerationMeta, notes: list[str]
) -> pa.Table:
    """The features computed now of those who were scored; as stored, where their table has no history of its own."""
    unseen = pc.invert(pc.is_in(again.column("customer_id"), stored.column("customer_id").combine_chunks()))
    if not _replays(data, None) and (n := pc.sum(unseen).as_py()):
        notes.append(f"{n} customers were not scored then; the tables do not say since when they are known")
        again = again.filter(pc.invert(unseen))
    place = pc.index_in(again.column("customer_id"), stored.column("customer_id").combine_chunks())
    for feature in meta.schema:
        if not feature.end_state and _replays(data, feature.source):
            continue
        now, then = again.column(feature.name), stored.column(feature.name).take(place)
        then = pc.if_else(pc.is_valid(place), then, now)
        if n := sum(not same(a, b) for a, b in zip(now.to_pylist(), then.to_pylist(), strict=True)):
            notes.append(f"{feature.name}: {n} values have changed in '{feature.source}', which does not say when")
            again = again.set_column(again.column_names.index(feature.name), feature.name, then)
    return again


def _replays(data: DataSection, table: str | None) -> bool:
    """Whether a table says of every row when it was known; None means who was a customer."""
    if table is None and data.label.churn == "contractual" and data.stays is not None:
        stays = data.stays[1]
        return stays.start_available_at is not None and stays.end_available_at is not None
    config = data.tables.get(table or data.label.events or "")
    return isinstance(config, EventsTable | HistoryTable) and config.available_at is not None


def _bundle(workspace: Workspace, meta: GenerationMeta) -> Bundle:
    bundle = Bundle.load(workspace.var / meta.bundle_dir)
    if bundle.sha256 != meta.bundle_sha256:
        raise StoreError(
            f"{workspace.var / meta.bundle_dir} is not the bundle that generation {meta.generation} names",
            fix="Run: holdfast score, decide and materialize.",
        )
    return bundle


def _decoded(row: OnlineRow) -> Row | None:
    try:
        return {
            **{f"features.{name}": value for name, value in row.features.items()},
            **{f"score.{name}": getattr(row, name) for name in SCORE_COLUMNS},
            **{f"decision.{name}": value for name, value in row.decision.items()},
            "decision.segment": row.segment,
            "decision.expected_value": row.expected_value,
        }
    except (ValueError, IndexError, TypeError, AttributeError):  # what corruption does to bytes, codes and JSON
        return None


def _rows(prefix: str, table: pa.Table, columns: Sequence[str]) -> dict[str, Row]:
    """Rows by customer; unknown numbers are None, as the online store gives them."""
    names = [f"{prefix}.{name}" for name in columns]
    values = zip(*(map(_known, table.column(name).to_pylist()) for name in columns), strict=True)
    ids = table.column("customer_id").to_pylist()
    return {customer: dict(zip(names, row, strict=True)) for customer, row in zip(ids, values, strict=True)}


def _known(value: Any) -> Any:
    return None if value != value else value  # NaN is the one value that differs from itself


def _merged(one: dict[str, Row], other: dict[str, Row]) -> dict[str, Row]:
    return {customer: {**row, **other.get(customer, {})} for customer, row in one.items()}
