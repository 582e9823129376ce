"""Every metric of a weighting is the plain metric of the repeated rows, and of the plain rows where all weigh one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from holdfast.evaluation.calibration import brier, calibration_error, calibration_line, ece, log_loss
from holdfast.evaluation.campaign import Campaign, campaign_profit
from holdfast.evaluation.profit import empc
from holdfast.evaluation.ranking import average_precision, lift_at, recall_at, roc_auc
from holdfast.evaluation.weighting import METRICS, Presort

PLAIN = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "log_loss": log_loss,
    "brier": lambda y, p: brier(y, p).score,
    "lift_at_10": lambda y, p: lift_at(y, p, 0.1),
    "recall_at_10": lambda y, p: recall_at(y, p, 0.1),
    "ece": ece,
    "calibration_error": calibration_error,
    "calibration_slope": lambda y, p: calibration_line(y, p).slope,
    "calibration_intercept": lambda y, p: calibration_line(y, p).intercept,
    "observed_expected": lambda y, p: y.sum() / p.sum(),
    "empc": lambda y, p: empc(y, p).value,
}


def population(seed, n=800, decimals=2):
    rng = np.random.default_rng(seed)
    p = np.round(expit(rng.normal(-2, 1.3, n)), decimals)  # with ties, and some of exactly 0
    return (rng.random(n) < expit(rng.normal(-2, 1, n)) * 0.5 + p / 2).astype(float), p


def test_every_metric_has_a_plain_form():
    assert {*PLAIN, "profit"} == set(METRICS)


@pytest.mark.parametrize("name", PLAIN)
def test_a_weighting_is_a_repetition(name):
    for seed, decimals in [(0, 2), (1, 8), (2, 1), (3, 3)]:
        y, p = population(seed, decimals=decimals)
        counts = np.random.default_rng(seed).poisson(1.0, len(y)).astype(float)
        rows = np.repeat(np.arange(len(y)), counts.astype(int))
        presort = Presort(y, p)
        assert METRICS[name](presort.unit()) == pytest.approx(PLAIN[name](y, p), rel=1e-9, abs=1e-10)
        assert METRICS[name](presort.weigh(counts)) == pytest.approx(PLAIN[name](y[rows], p[rows]), rel=1e-8, abs=1e-9)


def test_a_weighting_far_from_the_start_of_the_line_still_finds_it():
    y, p = population(4, n=3000, decimals=8)
    far = np.where((y == 1) == (p > 0.2), 0.02, 5.0)  # turns the slope round
    presort = Presort(y, p)
    rows = np.repeat(np.arange(3000), (far * 50).astype(int))
    exact = calibration_line(y[rows], p[rows])
    assert exact.slope < 0 < presort.unit().line.slope
    assert presort.weigh(far).line.slope == pytest.approx(exact.slope, rel=1e-7)


def test_profit_of_a_weighting_is_the_campaign_s():
    y, p = population(5)
    n = len(y)
    campaign = Campaign(np.linspace(50, 400, n), np.array([4.0, 15]), np.array([0.1, 0.3]), np.ones((n, 2), bool), 1.5)
    counts = np.random.default_rng(5).poisson(1.0, n).astype(float)
    presort = Presort(y, p, campaign)
    assert METRICS["profit"](presort.unit()) == pytest.approx(campaign_profit(y, p, campaign))
    assert METRICS["profit"](presort.weigh(counts)) == pytest.approx(campaign_profit(y, p, campaign, counts))


def test_scores_that_are_no_probabilities_are_ranked_and_nothing_else():
    y, p = population(6)
    unit = Presort(y, p * 3 - 1).unit()
    defined = {name for name, metric in METRICS.items() if name != "profit" and np.isfinite(metric(unit))}
    assert defined == {"roc_auc", "average_precision", "lift_at_10", "recall_at_10", "brier", "empc"}


@pytest.mark.parametrize("y", [np.zeros(50), np.ones(50)])
def test_one_class_or_one_score_is_undefined_where_it_must_be(y):
    unit = Presort(y, np.linspace(0.1, 0.4, 50)).unit()
    for name in ("roc_auc", "calibration_slope", "calibration_error", "empc"):
        assert np.isnan(METRICS[name](unit))
    mixed = Presort(np.arange(50) % 2, np.full(50, 0.3)).unit()
    assert np.isnan(METRICS["calibration_slope"](mixed))
    assert METRICS["observed_expected"](mixed) == pytest.approx(0.5 / 0.3)
