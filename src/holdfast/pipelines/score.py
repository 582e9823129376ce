"""``holdfast score``: everyone active at one cutoff, by what was known before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from holdfast.artifacts.engine import Engine
from holdfast.artifacts.schema import FeatureSchema
from holdfast.clock import iso
from holdfast.config.schema import Config
from holdfast.errors import UsageError
from holdfast.features.compute import compute, window_lengths
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.knowledge import Knowledge, knowledge_of, open_sources, sources_begin
from holdfast.pipelines.serving_model import champion
from holdfast.scoring.batch import score_batch
from holdfast.snapshots.calendar import Cutoff, cutoff_table, latest_instant
from holdfast.snapshots.population import scoring_population
from holdfast.sources.tables import Sources
from holdfast.stores.scores import write_features, write_scores

FEATURES = "scoring_features"


@dataclass(frozen=True)
class ScoreReport:
    """What was scored; ``manifest`` is the batch's own."""

    cutoff: datetime
    manifest: Mapping[str, Any]
    path: Path

    def to_json(self) -> dict[str, Any]:
        return {**self.manifest, "path": str(self.path)}


def score(workspace: Workspace, *, cutoff: datetime | None = None, known_as_of: datetime | None = None) -> ScoreReport:
    """Score everyone active at a cutoff with the champion.

    Parameters
    ----------
    cutoff : any midnight the data reach; by default the latest on the cutoff grid
    known_as_of : replay what was known then; never later than the cutoff

    Raises
    ------
    NotReadyError
        There is no champion.
    UsageError
        The cutoff is no midnight, before the data begin or after what is known.
    """
    best = champion(workspace)
    config = workspace.config
    with workspace.engine() as engine:
        sources = open_sources(workspace, engine, known_as_of)
        knowledge = knowledge_of(config, sources, known_as_of)
        at = cutoff or latest_instant(config.data.cutoffs, knowledge.known_as_of)  # cutoffs.last limits training only
        _check_cutoff(at, sources_begin(engine, sources, knowledge.known_as_of), knowledge)
        features, schema = cutoff_features(engine, config, sources, at, min(at, knowledge.known_as_of))
        engine.drop_others(FEATURES)  # the sources' memory is for scoring now
        rows, manifest = score_batch(
            engine, features, best.bundle, at, config.scoring, model_version=str(best.version)
        )  # fmt: skip
        write_features(workspace.var, engine, at, features, schema)
        path = write_scores(workspace.var, engine, at, rows, manifest)
    return ScoreReport(at, manifest, path)


def cutoff_features(
    engine: Engine, config: Config, sources: Sources, at: datetime, known_as_of: datetime, population: Any = None
) -> tuple[Any, FeatureSchema]:
    """Features of everyone to score at one cutoff, or of those of ``population``, kept as a table."""
    cutoff = Cutoff.of(at, config.data.label, config.data.cutoffs)
    table = engine.from_arrow(cutoff_table([cutoff], window_lengths(config.features)), "scoring_cutoff")
    tables = {n: s.table for n, s in sources.tables.items()}
    if population is None:
        population = cutoff_population(engine, config, sources, at)
    found, schema = compute(
        engine, population, table, tables, config.data, config.features, grid=cutoff.grid, known_as_of=known_as_of
    )
    return engine.materialize(found, FEATURES), schema


def cutoff_population(engine: Engine, config: Config, sources: Sources, at: datetime) -> Any:
    """Everyone to score at one cutoff, kept as a table."""
    cutoff = Cutoff.of(at, config.data.label, config.data.cutoffs)
    table = engine.from_arrow(cutoff_table([cutoff]), "population_cutoff")
    tables = {n: s.table for n, s in sources.tables.items()}
    return engine.materialize(scoring_population(tables, config.data, table), "scoring_population")


def _check_cutoff(at: datetime, begins: datetime, knowledge: Knowledge) -> None:
    if at.hour or at.minute or at.second or at.microsecond:
        raise UsageError(f"the cutoff {iso(at)} is not a midnight UTC", fix=f"Write --cutoff {at.date().isoformat()}")
    if at <= begins:
        raise UsageError(
            f"the cutoff {iso(at)} is before the data begin ({iso(begins)})", fix="Choose a later --cutoff."
        )
    if at > knowledge.known_as_of:
        raise UsageError(
            f"the cutoff {iso(at)} is after what is known (known as of {iso(knowledge.known_as_of)})",
            fix="Choose an earlier --cutoff, or bring newer data.",
        )
