"""``holdfast decide``: value, actions and budget for everyone scored at a cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from holdfast.artifacts.batches import DecisionBatch
from holdfast.artifacts.engine import Engine
from holdfast.artifacts.versions import instant, known_rows, with_superseded
from holdfast.clock import Span, iso
from holdfast.config.business import Treatments
from holdfast.config.data import EventsTable
from holdfast.config.schema import Config
from holdfast.decisions.decide import decide as decide_batch
from holdfast.decisions.effects import compute_effects
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.knowledge import open_sources
from holdfast.snapshots.outcomes import churned
from holdfast.sources.tables import Sources
from holdfast.stores.scores import SCORES, check_made_of, read_features, read_scores, write_decisions

DAYS_PER_MONTH = 30.4375  # 365.25 / 12


@dataclass(frozen=True)
class DecideReport:
    """What was decided; ``manifest`` is the batch's own."""

    cutoff: datetime
    manifest: Mapping[str, Any]
    path: Path

    def to_json(self) -> dict[str, Any]:
        return {**self.manifest, "path": str(self.path)}


def decide(workspace: Workspace, *, cutoff: datetime | None = None) -> DecideReport:
    """Decide for everyone scored at a cutoff (the latest scored by default).

    The effects of actions are measured on the randomised treatments that had matured by the cutoff.

    Raises
    ------
    NotReadyError
        Nothing was scored yet.
    """
    config = workspace.config
    scores = read_scores(workspace.var, cutoff)
    check_made_of(workspace.var, SCORES, scores.cutoff)
    _, features, _ = read_features(workspace.var, scores.cutoff)
    treatments: pa.Table | None = None
    if config.decisions.treatments is not None:
        with workspace.engine() as engine:
            data, treated = config.data, config.decisions.treatments
            label = [data.stays[0]] if data.stays is not None else []
            needed = {treated.table, *label, *filter(None, [data.label.events])}
            sources = open_sources(workspace, engine, only=needed)
            treatments = treatment_outcomes(engine, config, sources, treated, scores.cutoff)
    batch = decide_batch(
        scores.table, features, compute_effects(treatments, config.decisions), config.decisions,
        horizon_months=months_of(config.data.label.window), cutoff=scores.cutoff,
    )  # fmt: skip
    origin = {key: scores.manifest[key] for key in ("bundle_sha256", "model_version")}
    batch = DecisionBatch(batch.cutoff, batch.table, {**batch.manifest, **origin, "cutoff": iso(batch.cutoff)})
    return DecideReport(scores.cutoff, batch.manifest, write_decisions(workspace.var, batch))


def months_of(span: Span) -> float:
    """A span in months."""
    return span.months + span.days / DAYS_PER_MONTH


def treatment_outcomes(
    engine: Engine, config: Config, sources: Sources, treatments: Treatments, as_of: datetime
) -> pa.Table:
    """Every treatment known at ``as_of`` with what became of the customer, in the columns that effects need.

    A treatment has matured when its window, and the label's grace and delay after it, ended at or before ``as_of``:
    by time alone, whatever happened.
    """
    source = sources.tables[treatments.table]
    assert isinstance(source.config, EventsTable)
    rows = known_rows(source.table, as_of)
    if source.config.id is not None:
        rows = with_superseded(rows, ["event_id"])
        rows = rows.filter(rows.superseded_at.isnull())
    rows = rows.filter(rows.deleted == 0)
    window = treatments.window
    until = rows.event_time + (
        ibis.interval(months=window.months) if window.months else ibis.interval(days=window.days)
    )
    moments = rows.mutate(at=rows.event_time, until=until)
    tables = {name: t.table for name, t in sources.tables.items()}
    joined = churned(tables, config.data, moments, known_as_of=as_of)
    wait = timedelta(days=config.data.label.grace.days + config.data.label.delay.days)
    complete = min(as_of, config.data.complete_through or as_of) - wait
    matured = joined.until <= instant(complete)
    scale = 10 ** source.config.columns[treatments.propensity].scale
    return engine.to_arrow(
        joined.select(
            customer_id=joined.customer_id,
            assigned_at=joined.event_time,
            offer=joined[f"c_{treatments.offer}"],
            treated=joined[f"c_{treatments.arm}"] == treatments.treated,
            propensity=joined[f"c_{treatments.propensity}"].cast("float64") / float(scale),
            churned=ibis.ifelse(matured, joined.churned, ibis.null("boolean")),
            matured=matured,
        ).order_by(["customer_id", "assigned_at", "offer"])
    )
