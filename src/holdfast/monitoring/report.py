"""Everything monitoring found about one batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from holdfast.clock import iso
from holdfast.monitoring.drift import DriftReport, DriftRow
from holdfast.monitoring.parity import ParityReport
from holdfast.monitoring.performance import PerformanceReport
from holdfast.monitoring.quality import QualityReport
from holdfast.monitoring.triggers import TriggerDecision

MAX_LINES = 10  # drifted rows and findings shown in text; JSON has all


@dataclass(frozen=True)
class MonitoringReport:
    """The report of one cutoff. Parts that were not measured are None; ``parity_failed`` says why parity was not.

    ``uncovered`` counts, by source table, the training snapshots from before it began: see
    `holdfast.monitoring.coverage`.
    """

    cutoff: datetime
    model_version: str
    quality: QualityReport | None
    drift: DriftReport | None
    performance: PerformanceReport | None
    triggers: TriggerDecision
    uncovered: Mapping[str, int] = field(default_factory=dict)
    parity: ParityReport | None = None
    parity_failed: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, without NaN."""
        parts = {
            "quality": self.quality, "drift": self.drift, "performance": self.performance, "parity": self.parity,
        }  # fmt: skip
        return {
            "cutoff": iso(self.cutoff),
            "model_version": self.model_version,
            **{name: None if part is None else part.to_json() for name, part in parts.items()},
            "parity_failed": self.parity_failed,
            "uncovered": dict(self.uncovered),
            "triggers": self.triggers.to_json(),
        }

    def to_text(self) -> list[str]:
        """Lines for a terminal or a log; no customer's row is in them."""
        return [
            f"Monitoring of model {self.model_version} at {iso(self.cutoff)}",
            *_quality_lines(self.quality),
            *_drift_lines(self.drift, self.uncovered),
            *_performance_lines(self.performance),
            *_parity_lines(self.parity, self.parity_failed),
            *_trigger_lines(self.triggers),
        ]


def _bounded(lines: list[str]) -> list[str]:
    more = len(lines) - MAX_LINES
    return lines if more <= 0 else [*lines[:MAX_LINES], f"  … and {more} more"]


def _quality_lines(quality: QualityReport | None) -> list[str]:
    if quality is None:
        return ["Quality: not checked"]
    head = f"Quality: {quality.rows:,} rows, {len(quality.features)} features, {len(quality.findings)} findings"
    return [head, *_bounded([f"  {f.severity}: {f.where}: {f.what}" for f in quality.findings])]


def _drift_lines(drift: DriftReport | None, uncovered: Mapping[str, int]) -> list[str]:
    if drift is None:
        return ["Drift: not measured"]
    chance = f"a false alarm in at most {drift.thresholds.false_alarm:.0%} of reports"
    head = f"Drift: {len(drift.drifted)} of {len(drift.judged)} features drifted ({chance})"
    drifted = sorted((r for r in drift.rows if r.verdict == "drifted" and r.what != "score"), key=lambda r: -r.psi)
    score = drift.score
    left_out = [
        f"  (nulls: without {rows:,} training snapshots from before {table} began)" for table, rows in uncovered.items()
    ]
    lines = _bounded([_drift_line(r) for r in drifted])
    return [head, *lines, *([_drift_line(score)] if score else []), *left_out]


def _drift_line(row: DriftRow) -> str:
    name = f"{row.name} (nulls)" if row.what == "nulls" else row.name
    p = "" if row.p_adjusted is None else f", adjusted p {row.p_adjusted:.2g}"
    return f"  {name}: {row.verdict}, PSI {row.psi:.3f} (by chance {row.psi_expected:.3f}){p}; {row.change}"


def _performance_lines(performance: PerformanceReport | None) -> list[str]:
    if performance is None:
        return ["Performance: no scores have matured"]
    p = performance
    if not p.enough or p.log_loss is None:
        return [f"Performance: no verdict, {p.why_not}"]
    lines = [
        f"Performance: {p.rows:,} matured scores, log loss {p.log_loss:.4f} "
        f"({p.log_loss_low:.4f} to {p.log_loss_high:.4f}), test {p.test_log_loss:.4f}, change {p.increase:+.1%} "
        f"({p.increase_low:+.1%} to {p.increase_high:+.1%}), skill {p.skill:.3f}"
    ]
    if p.ratio is not None:
        lines.append(
            f"  {p.observed:,.0f} churned, {p.expected:,.1f} expected: ratio {p.ratio:.2f} "
            f"({p.ratio_low:.2f} to {p.ratio_high:.2f})"
        )
    return lines


def _parity_lines(parity: ParityReport | None, failed: str) -> list[str]:
    if parity is None:
        return [f"Parity: {failed or 'nothing serves yet'}"]
    return [f"Parity: {parity.summary}", *_bounded([f"  not verifiable: {why}" for why in parity.unverifiable])]


def _trigger_lines(triggers: TriggerDecision) -> list[str]:
    head = "Retrain: yes" if triggers.retrain else "Retrain: no"
    return [head, *(f"  {r.kind}: {r.message}" for r in triggers.reasons), *(f"  ({note})" for note in triggers.notes)]
