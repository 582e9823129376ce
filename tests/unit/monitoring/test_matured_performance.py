"""Performance of matured scores: intervals that cover, and alarms that are rare."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from holdfast.artifacts.files import canonical_json
from holdfast.errors import DataError
from holdfast.monitoring.performance import PerformanceReport, TestFigures, compute_performance


def draw(rng: np.random.Generator, n: int, factor: float = 1.0) -> PerformanceReport:
    p = rng.beta(1, 12, n)
    y = rng.random(n) < np.clip(p * factor, 0, 1)
    truth = float(-np.mean(p * np.log(p) + (1 - p) * np.log1p(-p)))
    return compute_performance(y, p, TestFigures(truth), min_rows=200)


def test_the_figures_by_hand() -> None:
    y, p = np.array([1, 0, 0, 1]), np.array([0.5, 0.25, 0.1, 0.8])
    report = compute_performance(y, p, TestFigures(0.3), min_rows=1)
    assert report.log_loss == pytest.approx(log_loss(y, p))
    assert report.increase == pytest.approx(log_loss(y, p) / 0.3 - 1)
    assert report.skill == pytest.approx(1 - log_loss(y, p) / np.log(2))
    assert (report.observed, report.expected) == (2, pytest.approx(1.65))
    spread = np.sqrt(0.25 + 0.1875 + 0.09 + 0.16)
    assert report.ratio_high == pytest.approx((2 + 1.959964 * spread) / 1.65)
    canonical_json(report.to_json())


def test_a_calibrated_model_is_called_miscalibrated_as_rarely_as_stated() -> None:
    rng = np.random.default_rng(21)
    reports = [draw(rng, 2000) for _ in range(400)]
    wrong = np.mean([r.calibration_p is not None and r.calibration_p < 0.05 for r in reports])
    assert wrong == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 400))
    outside = [
        r
        for r in reports
        if r.ratio_low is not None and r.ratio_high is not None and not r.ratio_low <= 1 <= r.ratio_high
    ]
    assert len(outside) / 400 == pytest.approx(wrong, abs=1e-9)
    worse = np.mean([r.increase_low is not None and r.increase_low > 0 for r in reports])
    assert worse < 0.06


def test_twice_the_churn_is_seen() -> None:
    report = draw(np.random.default_rng(22), 4000, factor=2.0)
    assert report.ratio == pytest.approx(2.0, abs=0.3)
    assert report.ratio_low is not None
    assert report.ratio_low > 1.5
    assert report.increase_low is not None
    assert report.increase_low > 0.1


def test_an_uncertain_test_figure_widens_the_increase() -> None:
    rng = np.random.default_rng(23)
    p = rng.beta(1, 12, 1000)
    y = rng.random(1000) < p
    sure, unsure = (compute_performance(y, p, TestFigures(0.25, e), min_rows=1) for e in (0.0, 0.02))
    assert sure.increase_low is not None
    assert unsure.increase_low is not None
    assert unsure.increase_low < sure.increase_low


def test_a_customer_counted_four_times_does_not_make_it_surer() -> None:
    rng = np.random.default_rng(24)
    p = rng.beta(1, 12, 1000)
    y = rng.random(1000) < p
    once = compute_performance(y, p, TestFigures(0.25), min_rows=1, customers=np.arange(1000))
    four = compute_performance(
        np.tile(y, 4), np.tile(p, 4), TestFigures(0.25), min_rows=1, customers=np.tile(np.arange(1000), 4)
    )
    assert four.log_loss_low == pytest.approx(once.log_loss_low)
    assert four.ratio_low == pytest.approx(once.ratio_low, abs=0.02)


def test_with_the_holdout_for_the_contacted_a_good_model_looks_good() -> None:
    """Those at most risk are contacted, which halves their churn; a fifth of them are held out."""
    rng = np.random.default_rng(25)
    p = rng.beta(1, 8, 60_000)
    chosen, held = p > 0.15, rng.random(60_000) < 0.2
    contacted = chosen & ~held
    y = rng.random(60_000) < p * np.where(contacted, 0.5, 1.0)
    naive = compute_performance(y, p, TestFigures(0.3), min_rows=1)
    assert naive.ratio_high is not None
    assert naive.ratio_high < 0.85
    alone = ~contacted
    weight = np.where(chosen, 5.0, 1.0)[alone]
    fair = compute_performance(y[alone], p[alone], TestFigures(0.3), min_rows=1, weight=weight)
    assert fair.ratio_low is not None
    assert fair.ratio_high is not None
    assert fair.ratio_low < 1 < fair.ratio_high


def test_no_verdict_is_said() -> None:
    few = compute_performance(np.array([0, 1]), np.array([0.1, 0.2]), TestFigures(0.3), min_rows=200)
    assert (few.enough, few.why_not) == (False, "2 matured scores, fewer than 200")
    none = compute_performance(np.zeros(300), np.full(300, 0.1), TestFigures(0.3), min_rows=200)
    assert none.why_not == "nobody churned"
    canonical_json(none.to_json())


def test_wrong_input() -> None:
    with pytest.raises(DataError, match="neither 0 nor 1"):
        compute_performance(np.array([0, 2]), np.array([0.1, 0.2]), TestFigures(0.3), min_rows=1)
    with pytest.raises(DataError, match="do not fit together"):
        compute_performance(np.array([0, 1]), np.array([0.1]), TestFigures(0.3), min_rows=1)
    with pytest.raises(DataError, match="a weight is not positive"):
        compute_performance(np.array([0]), np.array([0.1]), TestFigures(0.3), min_rows=1, weight=np.array([0]))
    with pytest.raises(DataError, match=r"log loss 0\.0 is not positive"):
        compute_performance(np.array([0, 1]), np.array([0.1, 0.2]), TestFigures(0.0), min_rows=1)
