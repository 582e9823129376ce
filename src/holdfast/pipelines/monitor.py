"""``holdfast monitor``: quality, drift, matured performance and the retraining trigger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from holdfast.artifacts.files import write_json
from holdfast.clock import iso, parse_instant
from holdfast.errors import NotReadyError
from holdfast.monitoring.drift import compute_drift
from holdfast.monitoring.performance import PerformanceReport, TestFigures, compute_performance
from holdfast.monitoring.quality import check_quality
from holdfast.monitoring.report import MonitoringReport
from holdfast.monitoring.triggers import ModelAge
from holdfast.monitoring.triggers import decide as decide_trigger
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.build import knowledge_of, open_sources
from holdfast.pipelines.serving_model import Champion, champion
from holdfast.pipelines.train import HISTOGRAMS
from holdfast.snapshots.calendar import Cutoff, cutoff_table
from holdfast.snapshots.population import training_population
from holdfast.stores.scores import decision_cutoffs, read_decisions, read_features, read_scores, score_cutoffs
from holdfast.stores.state import NewAlert

Z_95 = 1.959964


@dataclass(frozen=True)
class MonitorReport:
    """What monitoring saw, and where it is written."""

    report: MonitoringReport
    path: Path

    @property
    def retrain(self) -> bool:
        return self.report.triggers.retrain

    def to_json(self) -> dict[str, Any]:
        return {**self.report.to_json(), "path": str(self.path)}

    def to_text(self) -> list[str]:
        return self.report.to_text()


def monitor(workspace: Workspace, *, run_id: str | None = None) -> MonitorReport:
    """Compare the latest scored batch with the champion's training, and matured scores with what happened.

    Raises
    ------
    NotReadyError
        There is no champion, or nothing was scored with it.
    """
    config = workspace.config
    best = champion(workspace)
    scores = read_scores(workspace.var)
    if scores.manifest["bundle_sha256"] != best.bundle.sha256:
        raise NotReadyError(
            f"the latest scores are by model version {scores.manifest['model_version']}, not by the champion, version "
            f"{best.version}",
            fix=f"Run: holdfast score --project {workspace.name}",
        )
    _, features, _ = read_features(workspace.var, scores.cutoff)
    reference = best.bundle.reference[HISTOGRAMS]
    probability = np.asarray(scores.table.column("probability").to_numpy(), dtype=np.float64)
    earlier = [c for c in score_cutoffs(workspace.var) if c < scores.cutoff]
    drift = compute_drift(features, reference, config.monitoring.drift, scores=probability)
    quality = check_quality(
        features, reference,
        expected_rows=read_scores(workspace.var, earlier[-1]).table.num_rows if earlier else None,
    )  # fmt: skip
    performance = _performance(workspace, best)
    triggers = decide_trigger(drift, performance, _age(best, scores.cutoff), config.monitoring.triggers)
    report = MonitoringReport(
        cutoff=scores.cutoff, model_version=str(best.version), quality=quality, drift=drift,
        performance=performance, triggers=triggers,
    )  # fmt: skip
    path = workspace.reports / f"monitoring-{iso(scores.cutoff)}.json"
    write_json(path, report.to_json())
    workspace.state.add_alerts(workspace.name, _alerts(report), run_id=run_id)
    return MonitorReport(report, path)


def _age(best: Champion, as_of: datetime) -> ModelAge | None:
    trained = best.bundle.provenance.extra["trained_on"]
    return ModelAge(parse_instant(trained[-1]), as_of) if trained else None


def _learnt_until(best: Champion) -> datetime | None:
    """The last cutoff it was fitted on; one with customer-grouped folds was fitted on all of its dataset's."""
    extra = best.bundle.provenance.extra
    cutoffs = extra["trained_on"] or list(extra["snapshots"])
    return max((parse_instant(c) for c in cutoffs), default=None)


def _performance(workspace: Workspace, best: Champion) -> PerformanceReport | None:
    """The champion's scores whose labels have matured since; None while there are none.

    Back-filled scores of cutoffs that it learnt from would flatter it, and are left out.
    """
    learnt = _learnt_until(best)
    batches = [read_scores(workspace.var, c) for c in score_cutoffs(workspace.var) if learnt is None or c > learnt]
    mine = [b for b in batches if b.manifest["bundle_sha256"] == best.bundle.sha256]
    if not mine:
        return None
    data = workspace.config.data
    with workspace.engine() as engine:
        sources = open_sources(workspace, engine)
        knowledge = knowledge_of(workspace.config, sources, None)
        cutoffs = [Cutoff.of(b.cutoff, data.label, data.cutoffs.anchor_days) for b in mine]
        matured = [c for c in cutoffs if c.matured(knowledge.known_as_of, knowledge.complete_through)]
        if not matured:
            return None
        labels = [
            engine.to_arrow(
                training_population(
                    sources.customers.table, engine.from_arrow(cutoff_table([c]), "scored_cutoff"),
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


def _alerts(report: MonitoringReport) -> list[NewAlert]:
    severity = "warning" if report.triggers.retrain else "info"
    alerts = [
        NewAlert(
            r.kind, "model", severity, r.message, r.value, r.threshold if isinstance(r.threshold, float) else None,
            {"retrain": report.triggers.retrain},
        )
        for r in report.triggers.reasons
    ]  # fmt: skip
    if report.drift is not None:
        alerts += [
            NewAlert("drift", row.name, "info", f"{row.what}: {row.change}", row.psi, report.drift.thresholds.psi)
            for row in report.drift.rows
            if row.verdict == "drifted"
        ]
    return alerts
