"""Calibration metrics agree with scikit-learn, with their own definitions, and with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from holdfast.errors import DataError
from holdfast.evaluation.calibration import (
    brier,
    calibration_line,
    ece,
    log_loss,
    reliability_table,
    wilson,
)


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(5)
    margin = rng.normal(-2, 1.2, 4000)
    y = (rng.random(4000) < expit(margin)).astype(float)
    return y, expit(margin)


def test_losses_agree_with_scikit_learn(predictions):
    y, p = predictions
    assert log_loss(y, p) == pytest.approx(sklearn_log_loss(y, p), rel=1e-12)
    assert brier(y, p).score == pytest.approx(brier_score_loss(y, p), rel=1e-12)


def test_certainty_that_is_wrong_costs_a_finite_loss():
    assert log_loss([1.0], [0.0]) == pytest.approx(34.54, abs=0.01)


def test_murphy_parts_sum_to_the_score_and_are_exact_without_spread_in_bins(predictions):
    y, p = predictions
    parts = brier(y, p)
    assert parts.score == pytest.approx(
        parts.reliability - parts.resolution + parts.uncertainty + parts.within, abs=1e-15
    )
    rounded = brier(y, np.round(p, 1), bins=4000)
    assert rounded.within == pytest.approx(0, abs=1e-15)
    assert rounded.uncertainty == pytest.approx(y.mean() * (1 - y.mean()))


def test_ece_is_small_when_calibrated_and_the_shift_when_not(predictions):
    y, p = predictions
    assert ece(y, p) < 0.02
    assert ece(np.zeros(100), np.full(100, 0.3)) == pytest.approx(0.3)


def test_reliability_bins_hold_equal_mass_and_all_rows(predictions):
    y, p = predictions
    table = reliability_table(y, p, bins=10)
    assert [b.n for b in table] == [400] * 10
    assert sum(b.positives for b in table) == y.sum()
    assert all(b.low <= b.observed <= b.high for b in table)
    assert np.all(np.diff([b.predicted for b in table]) > 0)


def test_equal_predictions_share_a_bin():
    assert len(reliability_table([0, 1, 0, 1], [0.2] * 4)) == 1


def test_wilson_known_interval():
    # Newcombe 1998, table I: 81 of 263
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(10, 10)[1] == 1


def test_line_is_the_unpenalised_logistic_regression(predictions):
    y, p = predictions
    skewed = expit(0.4 + 1.7 * logit(p))
    line = calibration_line(y, skewed)
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(skewed)[:, None], y)
    assert line.slope == pytest.approx(float(reference.coef_[0, 0]), rel=1e-4)
    assert line.intercept == pytest.approx(float(reference.intercept_[0]), abs=1e-4)
    assert line.slope == pytest.approx(1 / 1.7, abs=0.05)


def test_line_is_undefined_for_one_class_constant_or_separable_predictions():
    for y, p in [([1, 1], [0.2, 0.4]), ([0, 1], [0.3, 0.3]), ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])]:
        line = calibration_line(y, p)
        assert np.isnan(line.slope)
        assert line.to_json() == {"intercept": None, "slope": None}


def test_what_is_no_probability_is_refused():
    with pytest.raises(DataError, match="outside"):
        log_loss([0, 1], [0.1, 1.1])
