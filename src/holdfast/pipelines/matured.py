"""The champion's scores whose labels have matured, against what happened: the measured part of ``holdfast monitor``."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa

from holdfast.artifacts.engine import Engine
from holdfast.clock import parse_instant
from holdfast.monitoring.performance import PerformanceReport, TestFigures, compute_performance
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.knowledge import knowledge_of
from holdfast.pipelines.serving_model import Champion
from holdfast.snapshots.calendar import Cutoff, cutoff_table
from holdfast.snapshots.population import training_population
from holdfast.sources.tables import Sources
from holdfast.stores.scores import decision_cutoffs, read_decisions, read_scores, score_cutoffs

Z_95 = 1.959964


def trained_rows(best: Champion) -> dict[datetime, int]:
    """The rows it was fitted on, by cutoff; one with customer-grouped folds was fitted on all of its dataset's."""
    extra = best.bundle.provenance.extra
    counted = {parse_instant(c): int(n) for c, n in extra["snapshots"].items()}
    trained = {parse_instant(c) for c in extra["trained_on"]} or set(counted)
    return {c: n for c, n in counted.items() if c in trained}


def matured_performance(
    workspace: Workspace, best: Champion, engine: Engine, sources: Sources
) -> PerformanceReport | None:
    """The champion's scores whose labels have matured since; None while there are none.

    Back-filled scores of cutoffs that it learnt from would flatter it, and are left out.
    """
    learnt = max(trained_rows(best), default=None)
    batches = [read_scores(workspace.var, c) for c in score_cutoffs(workspace.var) if learnt is None or c > learnt]
    mine = [b for b in batches if b.manifest["bundle_sha256"] == best.bundle.sha256]
    data = workspace.config.data
    knowledge = knowledge_of(workspace.config, sources, None)
    cutoffs = [Cutoff.of(b.cutoff, data.label, data.cutoffs) for b in mine]
    matured = [c for c in cutoffs if c.matured(knowledge.known_as_of, knowledge.complete_through)]
    if not matured:
        return None
    tables = {name: source.table for name, source in sources.tables.items()}
    labels = [
        engine.to_arrow(
            training_population(
                tables, data, engine.from_arrow(cutoff_table([c]), "scored_cutoff"),
                known_as_of=knowledge.known_as_of, complete_through=knowledge.complete_through,
            )
        )
        for c in matured
    ]  # fmt: skip
    at = {c.at for c in matured}
    scored = pa.concat_tables(b.table.select(["customer_id", "cutoff", "probability"]) for b in mine if b.cutoff in at)
    known = pa.concat_tables(labels).select(["customer_id", "cutoff", "label"])
    joined = scored.join(known, ["customer_id", "cutoff"], join_type="inner").sort_by(
        [("cutoff", "ascending"), ("customer_id", "ascending")]
    )
    joined = joined.filter(pa.compute.is_valid(joined.column("label")))
    keys = zip(joined.column("customer_id").to_pylist(), joined.column("cutoff").to_pylist(), strict=True)
    weights = _weights(workspace)
    weight = np.array([weights.get(key, 1.0) for key in keys])
    kept = weight > 0  # those who were contacted left less often because of it; the holdout stands for them
    test = best.bundle.metrics["test"]["metrics"]["log_loss"]
    error = (test["high"] - test["low"]) / (2 * Z_95)
    return compute_performance(
        np.asarray(joined.column("label").to_numpy())[kept],
        np.asarray(joined.column("probability").to_numpy())[kept],
        TestFigures(test["value"], error),
        min_rows=workspace.config.monitoring.drift.min_rows,
        customers=np.asarray(joined.column("customer_id").to_pylist())[kept],
        weight=weight[kept],
    )


def _weights(workspace: Workspace) -> dict[tuple[str, datetime], float]:
    """0 for the contacted, 1 / holdout share for the holdout; everyone else counts once."""
    found: dict[tuple[str, datetime], float] = {}
    for cutoff in decision_cutoffs(workspace.var):
        batch = read_decisions(workspace.var, cutoff)
        table, share = batch.table, batch.manifest["holdout"]["share"]  # as drawn then, whatever is configured now
        rows = zip(table.column("customer_id").to_pylist(), table.column("cutoff").to_pylist(),
                   table.column("status").to_pylist(), strict=True)  # fmt: skip
        for customer, at, status in rows:
            if status == "contact":
                found[customer, at] = 0.0
            elif status == "holdout":
                found[customer, at] = 1.0 / share
    return found
