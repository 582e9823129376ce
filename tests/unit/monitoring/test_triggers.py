"""Triggers: each fires alone, at its threshold and not before; and the report tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.artifacts.files import canonical_json
from holdfast.clock import Span
from holdfast.config.business import DriftThresholds, Triggers
from holdfast.monitoring.drift import DriftReport, DriftRow, Verdict, What
from holdfast.monitoring.performance import PerformanceReport
from holdfast.monitoring.quality import Finding, QualityReport
from holdfast.monitoring.report import MAX_LINES, MonitoringReport
from holdfast.monitoring.triggers import ModelAge, TriggerDecision, decide

JAN, AUG = datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 8, 1, tzinfo=UTC)
YOUNG = ModelAge(JAN, datetime(2024, 3, 1, tzinfo=UTC))


def row(name: str, verdict: Verdict, what: What = "values", psi: float = 0.5, p: float | None = 0.001) -> DriftRow:
    return DriftRow(name, what, psi, 0.2, 0.01, 0.02, p, p, 1000, 3000, verdict, "above 3: 10.0% -> 40.0%")


def drift(drifted: int, of: int, *more: DriftRow) -> DriftReport:
    rows = [row(f"f{i}", "drifted" if i < drifted else "stable") for i in range(of)]
    return DriftReport((*rows, *more), DriftThresholds())


def performance(**changes: Any) -> PerformanceReport:
    figures: dict[str, Any] = {
        "log_loss": 0.24,
        "log_loss_low": 0.22,
        "log_loss_high": 0.26,
        "skill": 0.1,
        "test_log_loss": 0.2,
        "increase": 0.2,
        "increase_low": 0.12,
        "increase_high": 0.3,
        "observed": 50,
        "expected": 45.0,
        "ratio": 1.1,
        "ratio_low": 0.9,
        "ratio_high": 1.3,
        "calibration_p": 0.4,
    }
    return PerformanceReport(1000, True, "", 0.95, **{**figures, **changes})


def kinds(decision: TriggerDecision) -> list[str]:
    assert decision.retrain == bool(decision.reasons)
    return [r.kind for r in decision.reasons]


def test_nothing_fires_and_what_was_not_judged_is_noted() -> None:
    decision = decide(None, None, None, Triggers())
    assert kinds(decision) == []
    assert [n.split(":")[0] for n in decision.notes] == ["drift", "performance", "age"]


def test_the_share_of_drifted_features() -> None:
    assert kinds(decide(drift(2, 10), None, YOUNG, Triggers())) == []  # 20% is not more than 20%
    decision = decide(drift(3, 10), None, YOUNG, Triggers())
    assert kinds(decision) == ["drifted_share"]
    assert "3 of 10 features drifted (30%)" in decision.reasons[0].message


@pytest.mark.parametrize(
    ("psi", "p", "fires"), [(0.3, 0.001, True), (0.2, 0.001, False), (0.3, 0.2, False), (0.3, None, False)]
)
def test_the_score(psi: float, p: float | None, fires: bool) -> None:
    report = drift(0, 5, row("score", "drifted", "score", psi, p))
    assert kinds(decide(report, None, YOUNG, Triggers())) == (["score_psi"] if fires else [])


def test_the_log_loss_needs_its_whole_interval_above() -> None:
    assert kinds(decide(drift(0, 5), performance(), YOUNG, Triggers())) == ["log_loss_increase"]
    assert kinds(decide(drift(0, 5), performance(increase_low=0.05), YOUNG, Triggers())) == []
    unsure = PerformanceReport(10, False, "10 matured scores, fewer than 200", 0.95)
    assert "performance: 10 matured scores, fewer than 200" in decide(None, unsure, YOUNG, Triggers()).notes


def test_age_steps_the_calendar() -> None:
    six = Span(months=6)
    assert not ModelAge(JAN, datetime(2024, 7, 31, tzinfo=UTC)).exceeds(six)
    assert ModelAge(JAN, AUG).exceeds(six)
    assert not ModelAge(JAN, datetime(2024, 2, 29, tzinfo=UTC)).exceeds(Span(months=1))  # January 31 + 1 month
    assert ModelAge(JAN, datetime(2024, 2, 29, 1, tzinfo=UTC)).exceeds(Span(months=1))
    assert kinds(decide(None, None, ModelAge(JAN, AUG), Triggers())) == ["max_age"]


def test_the_report_is_json_and_bounded_text() -> None:
    age = ModelAge(JAN, AUG)
    measured = drift(30, 40, row("f0", "drifted", "nulls"), row("score", "stable", "score", 0.01, 0.9))
    quality = QualityReport(1000, None, (), (), tuple(Finding("warning", f"f{i}", "w") for i in range(30)))
    report = MonitoringReport(
        AUG,
        "3",
        quality,
        measured,
        performance(),
        decide(measured, performance(), age, Triggers(), stale=["t"]),
        {"t": 9},
    )
    data = report.to_json()
    canonical_json(data)
    assert [r["kind"] for r in data["triggers"]["reasons"]] == ["drifted_share", "log_loss_increase", "max_age"]
    text = report.to_text()
    assert len(text) < 3 * MAX_LINES + 10
    assert "Drift: 30 of 40 features drifted (a false alarm in at most 5% of reports)" in text
    assert any("f0 (nulls)" in line for line in text) or any("more" in line for line in text)
    assert "Retrain: yes" in text
    assert "  (nulls: without 9 training snapshots from before t began)" in text
    assert "  (staleness: t is stale; mend its feed before retraining on it)" in text
    nothing = MonitoringReport(AUG, "3", None, None, None, decide(None, None, None, Triggers()))
    canonical_json(nothing.to_json())
    assert "Retrain: no" in nothing.to_text()
