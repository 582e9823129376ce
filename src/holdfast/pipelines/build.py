"""``holdfast build``: sources -> snapshots -> features -> offline store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from holdfast.artifacts.dataset import CutoffCount, Dataset, DatasetManifest, snapshot_schema
from holdfast.artifacts.engine import Engine
from holdfast.artifacts.files import write_text
from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import Grid, iso, utc
from holdfast.config.data import CustomersTable, EventsTable, HistoryTable
from holdfast.config.schema import Config
from holdfast.errors import ConfigError, DataError, NotReadyError, Problem, UsageError
from holdfast.features.compute import compute, window_lengths
from holdfast.features.definitions import FEATURES_VERSION
from holdfast.features.knowledge import instant
from holdfast.pipelines.bootstrap import Workspace
from holdfast.snapshots.calendar import Cutoff, cutoff_table, require_matured, training_cutoffs
from holdfast.snapshots.population import counts, training_population, unknown_leavers
from holdfast.sources.fetch import DATASETS as PUBLIC_DATASETS
from holdfast.sources.tables import Sources, load_sources
from holdfast.stores.offline import DATASETS, LATEST, write_dataset
from holdfast.types import DatasetId

LAST_MATURED = "last"
ID_LENGTH = 16


@dataclass(frozen=True)
class Knowledge:
    """The knowledge time of a build, and how far labels are complete."""

    known_as_of: datetime
    complete_through: datetime


def open_sources(workspace: Workspace, engine: Engine) -> Sources:
    """Load and check the declared tables.

    Raises
    ------
    NotReadyError
        Nothing was put into ``sources`` yet.
    DataError
        Tables are missing or not as declared.
    """
    data = workspace.config.data
    if not workspace.sources.exists() and not Path(data.sources).is_absolute():
        verb = "holdfast simulate" if data.simulate else f"holdfast import {workspace.name}"
        known = data.simulate is not None or workspace.name in PUBLIC_DATASETS
        fix = f"Run: {verb}" if known else "Put the tables there, or set data.sources in data.yaml."
        raise NotReadyError(f"there are no tables yet: {workspace.sources} does not exist", fix=fix)
    return load_sources(engine, workspace.config.data, workspace.sources)


def knowledge_of(config: Config, sources: Sources, known_as_of: datetime | None) -> Knowledge:
    """known_as_of and complete_through by argument, configuration, or the sources' watermark."""
    known = known_as_of or config.data.known_as_of or sources.watermark
    return Knowledge(known, min(known, config.data.complete_through or known))


def build(
    workspace: Workspace, *, cutoffs: str | None = None, known_as_of: datetime | None = None, force: bool = False
) -> Dataset:
    """Build the dataset of a project, or return the one that is there.

    Parameters
    ----------
    cutoffs : ``last`` keeps only the last matured cutoff
    known_as_of : replay what was known then

    Raises
    ------
    DataError, ConfigError
        The sources are not as declared, or the configuration does not fit them.
    """
    config = workspace.config
    with workspace.engine() as engine:
        sources = open_sources(workspace, engine)
        knowledge = knowledge_of(config, sources, known_as_of)
        grid = planned_cutoffs(engine, config, sources, knowledge, cutoffs)
        facts = {n: _facts(engine, s.table, knowledge) for n, s in sources.tables.items()}
        dataset_id = _dataset_id(config, grid, facts, knowledge)
        folder = workspace.var / DATASETS / dataset_id
        if not force and (folder / "manifest.json").exists():
            write_text(workspace.var / DATASETS / LATEST, f"{dataset_id}\n")
            return Dataset.open(folder)
        counted, parts, schema, notes = _snapshots(engine, config, sources, grid, knowledge)
        manifest = DatasetManifest(
            dataset_id=dataset_id,
            project=workspace.name,
            known_as_of=knowledge.known_as_of,
            complete_through=knowledge.complete_through,
            history=config.data.history,
            reconstructed_why=config.data.reconstructed_why,
            anchor_days=config.data.cutoffs.anchor_days,
            label={k: str(v) for k, v in config.data.label.model_dump(mode="json").items()},
            schema=schema,
            cutoffs=tuple(counted),
            sources=facts,
            notes=notes,
        )
        _require_learnable(manifest)
        return write_dataset(workspace.var, manifest, parts)


def planned_cutoffs(
    engine: Engine, config: Config, sources: Sources, knowledge: Knowledge, only: str | None
) -> list[Cutoff]:
    """The cutoffs of a build; ``only="last"`` keeps the last matured one.

    Raises
    ------
    ConfigError, UsageError
        The cutoffs or the label do not fit the data, or ``only`` is another word.
    """
    data = config.data
    grid = training_cutoffs(
        data.cutoffs,
        data.label,
        begins=sources_begin(engine, sources, knowledge.known_as_of),
        longest_months=config.features.longest,
        known_as_of=knowledge.known_as_of,
    )
    require_matured(grid, data.label, knowledge.known_as_of, knowledge.complete_through)
    if only is None:
        return grid
    if only != LAST_MATURED:
        raise UsageError(f"--cutoffs {only!r} is not known", fix=f"Write --cutoffs {LAST_MATURED}, or leave it out.")
    return [c for c in grid if c.matured(knowledge.known_as_of, knowledge.complete_through)][-1:]


def sources_begin(engine: Engine, sources: Sources, known_as_of: datetime) -> datetime:
    """When the sources begin, of what was known: the earliest event; without any, version; without any, customer.

    Raises
    ------
    ConfigError
        Nothing was known yet.
    """
    for kind, column in ((EventsTable, "event_time"), (HistoryTable, "valid_from"), (CustomersTable, "start")):
        known = [known_columns(s.table, known_as_of) for s in sources.of_kind(kind).values()]
        rows = [engine.to_arrow(t.aggregate(first=t[column].min())).to_pylist()[0] for t in known]
        firsts = [utc(row["first"]) for row in rows if row["first"] is not None]
        if firsts:
            return min(firsts)
    what = f"no row of any table was available before {iso(known_as_of)}"
    raise ConfigError(
        "the configuration does not fit the data", [Problem("data.known_as_of", what, "Choose a later one.")]
    )


def _facts(engine: Engine, table: Any, knowledge: Knowledge) -> dict[str, Any]:
    """Rows and an order-free hash of what was known (DESIGN 3.10), and nothing of what was not: a replay is equal.

    A customers row is hashed by what is known of it: an end not known yet is not there.
    """
    known = known_columns(table, knowledge.known_as_of)
    hashes = known.select(h=engine.row_hash(known, sorted(known.columns)))
    row = engine.to_arrow(
        hashes.aggregate(rows=hashes.count(), total=hashes.h.cast("decimal(38, 0)").sum())
    ).to_pylist()[0]
    return {"rows_known": row["rows"], "hash": format(int(row["total"] or 0) % (1 << 64), "016x")}


def known_columns(table: Any, known_as_of: datetime) -> Any:
    """The rows, and of those the cells, that were available before ``known_as_of``."""
    now = instant(known_as_of)
    if "available_at" in table.columns:
        known = table.filter(table.available_at < now)
        if "closed_available_at" not in table.columns:
            return known
        closing = (known.closed_available_at < now).fill_null(False)
        return known.mutate(
            valid_to=closing.ifelse(known.valid_to, ibis.null("timestamp(6)")),
            closed_available_at=closing.ifelse(known.closed_available_at, ibis.null("timestamp(6)")),
        )
    known = table.filter(table.start_available_at < now)
    ended = (known.end_available_at < now).fill_null(False)
    return known.mutate(
        end=ended.ifelse(known.end, ibis.null("timestamp(6)")),
        end_available_at=ended.ifelse(known.end_available_at, ibis.null("timestamp(6)")),
    )


def _dataset_id(
    config: Config, grid: Sequence[Cutoff], facts: dict[str, dict[str, Any]], knowledge: Knowledge
) -> DatasetId:
    what = {
        "config": config.hash("data", "features"),
        "cutoffs": [iso(c.at) for c in grid],
        "sources": {name: [f["rows_known"], f["hash"]] for name, f in facts.items()},
        "known_as_of": iso(knowledge.known_as_of),
        "complete_through": iso(knowledge.complete_through),
        "features_version": FEATURES_VERSION,
    }
    return DatasetId(hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:ID_LENGTH])


def _snapshots(
    engine: Engine, config: Config, sources: Sources, cutoffs: Sequence[Cutoff], knowledge: Knowledge
) -> tuple[list[CutoffCount], Iterator[tuple[datetime, pa.Table]], FeatureSchema, dict[str, Any]]:
    """Counts by cutoff, the parts (read one at a time), the schema and notes; grids are computed one by one."""
    tables = {n: s.table for n, s in sources.tables.items()}
    customers = sources.customers.table
    counted: dict[datetime, CutoffCount] = {c.at: CutoffCount(c.at, c.label_available_at, 0, 0, {}) for c in cutoffs}
    results: dict[Grid, Any] = {}
    left_unknown = 0
    schema = FeatureSchema(())
    for number, grid in enumerate(dict.fromkeys(c.grid for c in cutoffs)):
        mine = [c for c in cutoffs if c.grid == grid]
        table = engine.from_arrow(cutoff_table(mine, window_lengths(config.features)), f"cutoffs_{number}")
        population = engine.materialize(
            training_population(
                customers, table, known_as_of=knowledge.known_as_of, complete_through=knowledge.complete_through
            ),
            f"population_{number}",
        )
        _count(engine, population, counted)
        left_unknown += engine.to_arrow(unknown_leavers(customers, table, known_as_of=knowledge.known_as_of))["n"][
            0
        ].as_py()
        found, schema = compute(
            engine, population, table, tables, config.data, config.features,
            grid=grid, known_as_of=knowledge.known_as_of,
        )  # fmt: skip
        labels = population.select("customer_id", "cutoff", "label", "state", "label_available_at")
        joined = labels.inner_join(found, ["customer_id", "cutoff"]).select(*snapshot_schema(schema).names)
        results[grid] = engine.materialize(joined, f"snapshots_{number}")

    def parts() -> Iterator[tuple[datetime, pa.Table]]:
        for c in cutoffs:
            result = results[c.grid]
            rows = result.filter(result.cutoff == instant(c.at)).order_by("customer_id")
            yield c.at, engine.to_arrow(rows)

    found_counts = [counted[c.at] for c in cutoffs if counted[c.at].snapshots]
    kept = {c.cutoff for c in found_counts}
    cutoffs = [c for c in cutoffs if c.at in kept]
    return found_counts, parts(), schema, {"ended_but_not_known_at_the_cutoff": int(left_unknown)}


def _count(engine: Engine, population: Any, counted: dict[datetime, CutoffCount]) -> None:
    for row in engine.to_arrow(counts(population).order_by(["cutoff", "state"])).to_pylist():
        at = utc(row["cutoff"])
        old = counted[at]
        counted[at] = CutoffCount(
            at,
            old.label_available_at,
            old.snapshots + int(row["snapshots"]),
            old.positives + int(row["positives"]),
            {**old.states, row["state"]: int(row["snapshots"])},
        )


def _require_learnable(manifest: DatasetManifest) -> None:
    if not manifest.snapshots:
        raise DataError(
            "there is nobody to learn from",
            [Problem("data.cutoffs", "no customer is at risk at any cutoff", "Check the cutoffs against the starts.")],
        )
    if not manifest.positives:
        raise DataError(
            "there is nothing to learn",
            [
                Problem(
                    "data.label",
                    f"no customer ends in any of {len(manifest.matured_cutoffs())} matured label windows",
                    "Check the ends, or use a longer horizon.",
                )
            ],
        )
