"""Offsets of months and their forecast: against slow oracles, on planted shifts, and where there is nothing to find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import multivariate_normal, norm, rayleigh

from holdfast.models.prior import (
    LEVEL_SD,
    NODES,
    REACH,
    SEASON_SD,
    START_SD,
    MonthOffsets,
    forecast,
    month_of,
    month_offsets,
    offset,
    shifted_odds,
)

FIRST = 12 * 52 + 6  # July 2022


def known(offsets, se, first=FIRST):
    n = len(offsets)
    return MonthOffsets(first + np.arange(n), np.asarray(offsets, dtype=float), np.eye(n) * se**2)


def test_months_count_from_1970():
    assert month_of(np.array(["1970-01-31T23:59:59", "2022-07-01"], "datetime64[us]")).tolist() == [0, FIRST]


def test_an_offset_makes_predicted_and_observed_agree():
    rng = np.random.default_rng(0)
    margin, y = rng.normal(-3, 2, 500), (rng.random(500) < 0.3).astype(float)
    found, information = offset(margin, y)
    root = brentq(lambda o: expit(margin + o).sum() - y.sum(), -20, 20, xtol=1e-12)
    assert found == pytest.approx(root, abs=1e-9)
    p = expit(margin + found)
    assert information == pytest.approx((p * (1 - p)).sum())


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_month_of_one_class_has_a_finite_offset(label):
    found, information = offset(np.full(40, -1.0), np.full(40, label))
    assert 40 * expit(found - 1) == pytest.approx(abs(40 * label - 0.5))
    assert 0 < information < 1


def test_offsets_covary_by_customer():
    """Against sums over customers written out, and twice the rows of a customer are no more evidence."""
    rng = np.random.default_rng(1)
    customers, month = np.repeat(np.arange(80), 3), np.tile([5, 6, 9], 80)
    margin = rng.normal(-1, 1, 240)
    y = (rng.random(240) < expit(margin)).astype(float)
    found = month_offsets(margin, y, month, customers)
    assert found.months.tolist() == [5, 6, 9]
    scores = np.zeros((80, 3))
    for i in range(240):
        k = [5, 6, 9].index(month[i])
        mine = month == month[i]
        root, information = offset(margin[mine], y[mine])
        scores[customers[i], k] += (y[i] - expit(margin[i] + root)) / information
    wanted = scores.T @ scores
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(found.covariance[off], wanted[off], atol=1e-12)
    assert (np.diag(found.covariance) >= np.diag(wanted) - 1e-12).all()
    doubled = month_offsets(*(np.tile(a, 2) for a in (margin, y, month, customers)))
    np.testing.assert_allclose(doubled.offset, found.offset, atol=1e-9)
    np.testing.assert_allclose(doubled.covariance[off], found.covariance[off], atol=1e-12)
    alone = month_offsets(*(np.tile(a, 2) for a in (margin, y, month)), np.arange(480))
    assert np.diag(alone.covariance) == pytest.approx(np.diag(found.covariance) / 2, rel=0.3)


def test_a_month_without_churners_is_not_known_well():
    month = np.repeat([1, 2], 200)
    y = np.zeros(400)
    y[:20] = 1
    found = month_offsets(np.full(400, -2.0), y, month, np.arange(400))
    assert found.covariance[1, 1] > 10 * found.covariance[0, 0]


def dense(known, months):
    """The forecast by Gaussian densities and the normal equations of the joint distribution, entry by entry."""
    every = [*known.months.tolist(), *months.tolist()]
    n, total, mean = len(known.months), 0.0, np.zeros(len(months))
    for a in np.linspace(0, REACH, NODES):
        for b in np.linspace(0, REACH, NODES):
            joint = np.array(
                [
                    [
                        START_SD**2
                        + (a * LEVEL_SD) ** 2 * (min(s, t) - every[0])
                        + (b * SEASON_SD) ** 2 * (s % 12 == t % 12)
                        for t in every
                    ]
                    for s in every
                ]
            )
            seen = joint[:n, :n] + known.covariance
            weight = norm.pdf(a) * rayleigh.pdf(b) * multivariate_normal.pdf(known.offset, np.zeros(n), seen)
            total += weight
            mean += weight * joint[n:, :n] @ np.linalg.inv(seen) @ known.offset
    return mean / total


def test_the_forecast_is_the_posterior_mean_of_the_dense_gaussian():
    rng = np.random.default_rng(2)
    offsets = known(rng.normal(0, 0.2, 17), 0.1)
    scores = rng.normal(0, 0.1, (30, 17))
    offsets = MonthOffsets(offsets.months, offsets.offset, scores.T @ scores / 30)
    months = offsets.months[-1] + np.array([1, 2, 3, 12, 15])
    found = forecast(offsets, months)
    np.testing.assert_allclose(found.offset, dense(offsets, months), atol=1e-10)
    assert (found.se > 0).all()


def test_its_standard_error_is_what_it_is_off_by():
    """Offsets drawn from the model itself: squared errors over squared standard errors are 1 on average."""
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(60):
        a, b = abs(rng.normal()) * LEVEL_SD, rng.rayleigh() * SEASON_SD
        level = rng.normal(0, START_SD) + np.cumsum(np.r_[0, rng.normal(0, a, 27)])
        truth = level + rng.normal(0, b, 12)[(FIRST + np.arange(28)) % 12]
        found = forecast(known(truth[:26] + rng.normal(0, 0.1, 26), 0.1), FIRST + np.array([26, 27]))
        ratios.append(((found.offset - truth[26:]) / found.se) ** 2)
    assert 0.7 < np.mean(ratios) < 1.4


def test_a_persistent_shift_is_followed():
    moved = np.where(np.arange(26) < 14, -0.3, 0.4)
    coming = FIRST + np.array([28, 29, 30])
    assert forecast(known(moved, 0.03), coming).offset == pytest.approx(0.4, abs=0.1)


def test_a_season_comes_again():
    season = np.array([0.3, 0.0, -0.2, 0.1, 0, 0, -0.1, 0.2, 0, 0, -0.3, 0.0])
    found = forecast(known(season[(FIRST + np.arange(26)) % 12], 0.03), FIRST + 26 + np.arange(12))
    assert np.abs(found.offset - season[(FIRST + 26 + np.arange(12)) % 12]).max() < 0.06


def test_one_year_says_little_of_the_next():
    season = np.array([0.3, 0.0, -0.2, 0.1, 0, 0, -0.1, 0.2, 0, 0, -0.3, 0.0])
    coming = FIRST + 12 + np.arange(12)
    one, two = (forecast(known(season[(FIRST + np.arange(n)) % 12], 0.12), coming + n - 12) for n in (12, 24))
    assert one.se.mean() > two.se.mean()
    assert np.abs(one.offset).mean() < np.abs(two.offset).mean()


def test_luck_alone_moves_little():
    """26 months of 100 churners each, no shift: offsets of 0.1 by luck, forecasts a third of that."""
    rng = np.random.default_rng(4)
    coming = FIRST + 27 + np.arange(3)
    found = [forecast(known(rng.normal(0, 0.1, 26), 0.1), coming).offset for _ in range(60)]
    size = float(np.sqrt(np.mean(np.square(found))))
    assert size < 0.045
    assert abs(np.mean(found)) < 0.02


def test_nothing_known_is_nothing_forecast():
    none = known([], 1.0)
    found = forecast(none, np.array([FIRST]))
    assert found.offset.tolist() == [0.0]
    assert np.isinf(found.se[0])
    two = known([0.1, 0.2], 0.1)
    assert two.before(FIRST + 1).offset.tolist() == [0.1]
    assert two.before(FIRST + 1).covariance.shape == (1, 1)


@given(st.floats(1e-6, 1 - 1e-6), st.floats(-10, 10))
def test_odds_are_multiplied(p, by):
    found = shifted_odds(np.array([p]), by)
    assert 0 < found[0] < 1
    assert logit(found[0]) == pytest.approx(np.clip(logit(p) + by, -30, 30), abs=2e-3)
    assert shifted_odds(np.array([p]), 0.0).tolist() == [p]
