"""``holdfast monitor``: quality, staleness, drift, matured performance, parity and the retraining trigger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.artifacts.engine import Engine
from holdfast.artifacts.files import write_json
from holdfast.clock import iso, parse_instant
from holdfast.config.data import CustomersTable
from holdfast.errors import HoldfastError, NotReadyError
from holdfast.monitoring.alerts import DRIFT, PARITY, STALE
from holdfast.monitoring.coverage import without_uncovered
from holdfast.monitoring.drift import DriftReport, compute_drift
from holdfast.monitoring.parity import ParityReport
from holdfast.monitoring.quality import QualityReport, check_quality
from holdfast.monitoring.report import MonitoringReport
from holdfast.monitoring.staleness import Reach, compute_reach, daily_news, feeds
from holdfast.monitoring.triggers import ModelAge, TriggerDecision
from holdfast.monitoring.triggers import decide as decide_trigger
from holdfast.pipelines.bootstrap import Workspace
from holdfast.pipelines.knowledge import open_sources
from holdfast.pipelines.matured import matured_performance, trained_rows
from holdfast.pipelines.parity import check_parity
from holdfast.pipelines.serving_model import Champion, champion
from holdfast.pipelines.train import HISTOGRAMS
from holdfast.sources.tables import Sources
from holdfast.stores.scores import SCORES, check_made_of, read_features, read_scores, score_cutoffs
from holdfast.stores.state import NewAlert


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
    check_made_of(workspace.var, SCORES, scores.cutoff)
    _, features, _ = read_features(workspace.var, scores.cutoff)
    with workspace.engine() as engine:
        sources = open_sources(workspace, engine)
        reaches = _reaches(workspace, engine, sources, scores.cutoff)
        performance = matured_performance(workspace, best, engine, sources)
        parity, parity_failed = _parity(workspace, engine, sources)
    reference, uncovered = without_uncovered(
        best.bundle.reference[HISTOGRAMS], best.bundle.schema, _begins(sources, reaches), trained_rows(best)
    )
    probability = np.asarray(scores.table.column("probability").to_numpy(), dtype=np.float64)
    earlier = [c for c in score_cutoffs(workspace.var) if c < scores.cutoff]
    drift = compute_drift(features, reference, config.monitoring.drift, scores=probability)
    quality = check_quality(
        features, reference, tables=reaches,
        expected_rows=read_scores(workspace.var, earlier[-1]).table.num_rows if earlier else None,
    )  # fmt: skip
    triggers = decide_trigger(
        drift, performance, _age(best, scores.cutoff), config.monitoring.triggers,
        stale=[t.name for t in quality.stale],
    )  # fmt: skip
    report = MonitoringReport(
        cutoff=scores.cutoff, model_version=str(best.version), quality=quality, drift=drift,
        performance=performance, triggers=triggers, uncovered=uncovered, parity=parity,
        parity_failed=parity_failed,
    )  # fmt: skip
    path = workspace.reports / f"monitoring-{iso(scores.cutoff)}.json"
    write_json(path, report.to_json())
    alerts = [*_alerts(quality, drift, triggers, best), *_parity_alert(parity, parity_failed)]
    workspace.state.record_alerts(
        workspace.name, alerts, cutoff=scores.cutoff, bundle_sha256=best.bundle.sha256, run_id=run_id
    )
    return MonitorReport(report, path)


def _reaches(workspace: Workspace, engine: Engine, sources: Sources, cutoff: datetime) -> list[Reach]:
    """How far every declared table reaches at the cutoff."""
    thresholds = workspace.config.monitoring.staleness
    return [
        compute_reach(feed, daily_news(engine, source.table, feed, cutoff=cutoff), thresholds, cutoff=cutoff)
        for name, source in sources.tables.items()
        for feed in feeds(name, source.config)
    ]


def _begins(sources: Sources, reaches: list[Reach]) -> dict[str, datetime | None]:
    """When each source began that features are null without; a customer's own columns are there from the start."""
    customers = sources.of_kind(CustomersTable)
    return {r.table: r.begins for r in reaches if r.table not in customers}


def _age(best: Champion, as_of: datetime) -> ModelAge | None:
    trained = best.bundle.provenance.extra["trained_on"]
    return ModelAge(parse_instant(trained[-1]), as_of) if trained else None


def _parity(workspace: Workspace, engine: Engine, sources: Sources) -> tuple[ParityReport | None, str]:
    """What serves against what is computed again, or why it could not be; neither where nothing serves yet.

    A store that cannot be read is an alert, and no reason to monitor nothing else.
    """
    try:
        return check_parity(workspace, engine, sources), ""
    except NotReadyError:
        return None, ""
    except HoldfastError as e:
        return None, str(e)


def _parity_alert(parity: ParityReport | None, failed: str) -> list[NewAlert]:
    if failed:
        return [NewAlert(PARITY, "online store", "warning", f"could not be compared: {failed}")]
    if parity is None or not parity.differences:
        return []
    wrong = float(len({d.customer_id for d in parity.differences}))
    return [NewAlert(PARITY, "online store", "warning", parity.summary, wrong, 0.0)]


def _alerts(quality: QualityReport, drift: DriftReport, triggers: TriggerDecision, best: Champion) -> list[NewAlert]:
    """Each kind and subject once: what the state store knows an alert by, beside the cutoff and the bundle."""
    alerts = [NewAlert(STALE, t.name, "warning", t.message, t.behind_days, t.limit_days) for t in quality.stale]
    severity = "warning" if triggers.retrain else "info"
    alerts += [
        NewAlert(
            r.kind, "model", severity, r.message, r.value, r.threshold if isinstance(r.threshold, float) else None,
            {"retrain": triggers.retrain},
        )
        for r in triggers.reasons
    ]  # fmt: skip
    stale = {t.table for t in quality.stale}
    of_stale = {f.name: f" (its table '{f.source}' is stale)" for f in best.bundle.schema if f.source in stale}
    alerts += [
        NewAlert(
            DRIFT[row.what], row.name, "info", f"{row.what}: {row.change}{of_stale.get(row.name, '')}", row.psi,
            drift.thresholds.psi,
        )
        for row in drift.rows
        if row.verdict == "drifted"
    ]  # fmt: skip
    return alerts
