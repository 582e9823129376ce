"""A small `benchmarks/intervals.py`: redraws of customers and labels from a known hazard; intervals cover the truth."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from holdfast.evaluation.campaign import Campaign
from holdfast.evaluation.intervals import evaluate

REDRAWS = 100


@pytest.fixture
def redraws(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("_redraws")


@pytest.fixture
def paths(redraws):
    rng = np.random.default_rng(11)
    n, cutoffs = 3000, 3
    frailty = rng.normal(-2.2, 0.9, n)[:, None]
    hazard = expit(frailty + rng.normal(0, 0.5, (n, cutoffs)))
    p = expit(0.9 * frailty - 0.1 + rng.normal(0, 0.4, (n, cutoffs)))
    p[rng.random(n) < 0.1, 0] = np.nan  # those who come later
    value = rng.lognormal(5, 0.4, n * cutoffs)
    actions = np.ones((n * cutoffs, 2), dtype=bool)
    return redraws.Paths(p, hazard, Campaign(value, np.array([5.0, 12.0]), np.array([0.2, 0.4]), actions, 1.0))


def test_the_true_value_is_what_a_great_many_customers_show(redraws, paths):
    rows, y, customers = paths.redraw(150_000, np.random.default_rng(1))
    shown = evaluate(
        y, paths.p.ravel()[rows], customers, metrics=redraws.SHOWN, campaign=paths.campaign.take(rows), replicates=0
    )
    for name, value in paths.truth().items():
        assert shown[name].value == pytest.approx(value, rel=0.02), name


def test_nobody_is_seen_after_leaving_or_before_coming(paths):
    rows, y, customers = paths.redraw(2000, np.random.default_rng(2))
    assert np.isfinite(paths.p.ravel()[rows]).all()
    assert np.bincount(customers, weights=y).max() == 1
    last = np.append(customers[1:] != customers[:-1], True)
    assert last[y == 1].all()
    assert y.mean() == pytest.approx(paths.hazard.mean(), abs=0.02)


def test_intervals_cover_the_true_value(redraws, paths):
    found = redraws.intervals(paths, 400, REDRAWS, replicates=100, seed=3)
    least, most = binom.ppf([0.0005, 0.9995], REDRAWS, 0.95)  # 95% of 100, give or take what chance does in a thousand
    assert (least, most) == (87, 100)
    for name, truth in paths.truth().items():
        below, above, inside = redraws.covered(found[name], truth)
        assert inside >= least, name
        assert below + above + inside == REDRAWS


def test_the_redraws_would_notice_intervals_that_are_too_narrow(redraws, paths):
    found = redraws.intervals(paths, 400, REDRAWS, replicates=40, seed=4, metrics=["log_loss"])["log_loss"]
    value, low, high = found.T
    halved = np.column_stack([value, (value + low) / 2, (value + high) / 2])
    assert redraws.covered(halved, paths.truth(["log_loss"])["log_loss"])[2] < binom.ppf(0.0005, REDRAWS, 0.95)
