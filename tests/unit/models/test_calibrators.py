"""Calibrators are monotone, never certain, chosen out of fold, and survive JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from holdfast.errors import StoreError
from holdfast.models.calibrate import (
    MIN_POSITIVES,
    Identity,
    Isotonic,
    Shifted,
    Sigmoid,
    calibrator_from_json,
    choose_calibrator,
    fit_isotonic,
    fit_sigmoid,
)
from holdfast.models.prior import offset


def draw(true, n=6000, seed=0):
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1, 1.5, n)
    return margin, (rng.random(n) < true(margin)).astype(float)


def test_well_calibrated_margins_are_left_alone():
    assert choose_calibrator(*draw(expit)).calibrator == Identity()


def test_a_wrong_slope_gets_a_sigmoid():
    choice = choose_calibrator(*draw(lambda m: expit(0.5 * m - 1)))
    assert isinstance(choice.calibrator, Sigmoid)
    assert choice.calibrator.slope == pytest.approx(0.5, abs=0.06)
    assert choice.calibrator.intercept == pytest.approx(-1, abs=0.1)
    assert set(choice.log_loss) == {"identity", "sigmoid", "isotonic"}
    assert choice.log_loss["sigmoid"] < choice.log_loss["identity"]


def test_a_step_gets_an_isotonic():
    choice = choose_calibrator(*draw(lambda m: np.where(m > -1, 0.4, 0.05), n=20_000))
    assert isinstance(choice.calibrator, Isotonic)
    assert choice.calibrator.probability(np.array([-4.0, 2.0])) == pytest.approx([0.05, 0.4], abs=0.06)


def few(intercept, n=800, churners=MIN_POSITIVES - 1, seed=0):
    """Few churners, with margins that are right up to ``intercept``."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(0, 1.5, n)
    y = np.zeros(n)
    y[rng.choice(n, churners, replace=False, p=np.exp(margin) / np.exp(margin).sum())] = 1
    return margin + offset(margin, y)[0] + intercept, y


def test_with_few_churners_a_wrong_level_is_moved_and_the_slope_is_left():
    """As of a model that weighed the classes."""
    margin, y = few(3.6)
    choice = choose_calibrator(margin, y)
    assert choice.calibrator.slope == 1
    assert choice.calibrator.probability(margin).sum() == pytest.approx(y.sum())
    assert set(choice.log_loss) == {"identity", "sigmoid"}
    assert choice.log_loss[choice.calibrator.kind] < choice.log_loss["identity"] - 0.2


@pytest.mark.parametrize("churners", [1, 2, 10, MIN_POSITIVES - 1])
def test_with_few_churners_a_level_that_may_be_right_is_left(churners):
    for seed in range(3):
        assert choose_calibrator(*few(0.0, churners=churners, seed=seed)).calibrator == Identity()


def test_without_a_churner_there_is_nothing_to_go_by():
    margin, y = few(0.0)
    choice = choose_calibrator(margin, np.zeros(len(y)))
    assert choice.calibrator == Identity()
    assert set(choice.log_loss) == {"identity"}


@pytest.mark.parametrize("rows", [3, 7, 49])
def test_isotonic_margins_rise_where_they_are_one_step_of_rounding_apart(rows):
    for low in np.random.default_rng(0).normal(-3, 1, 50):
        steps = low, np.nextafter(low, np.inf), np.nextafter(np.nextafter(low, np.inf), np.inf)
        margin = np.repeat(steps, rows)
        y = np.repeat([0.0, 1.0, 1.0], rows)
        y[[0, rows]] = 1, 0  # three rates, none of them pooled
        fitted = fit_isotonic(margin, y)
        assert np.isin(fitted.margins, steps).all()
        assert calibrator_from_json(fitted.to_json()) == fitted


def test_a_customers_rows_share_a_fold():
    """Otherwise isotonic is measured on rows whose twins it was fitted on, and looks better than it is."""
    margin, y = draw(expit, n=600)
    many = np.repeat(margin, 20) + np.tile(np.linspace(0, 1e-6, 20), 600)
    clusters = np.repeat(np.arange(600), 20)
    split = choose_calibrator(many, np.repeat(y, 20)).log_loss["isotonic"]
    grouped = choose_calibrator(many, np.repeat(y, 20), clusters=clusters).log_loss["isotonic"]
    assert split < grouped


def test_a_reversed_margin_gets_no_sigmoid():
    margin, y = draw(expit)
    assert fit_sigmoid(-margin, y) is None


def test_isotonic_pools_as_scikit_learn_does():
    margin, y = draw(lambda m: np.where(m > -1, 0.4, 0.05), n=500)
    ours = fit_isotonic(margin, y)
    blocks = np.unique(IsotonicRegression().fit(margin, y).predict(np.sort(margin)))
    inside = (blocks > 0) & (blocks < 1)
    assert np.isin(np.round(blocks[inside], 9), np.round(ours.probabilities, 9)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), min_size=2, max_size=40))
def test_probabilities_rise_with_the_margin_and_are_never_certain(rows):
    margin, y = (np.array(v, dtype=float) for v in zip(*rows, strict=True))
    grid = np.concatenate([[-1e9], np.linspace(-5, 5, 101), [1e9]])
    for fitted in (Identity(), fit_isotonic(margin, y), fit_sigmoid(margin, y) if 0 < y.mean() < 1 else None):
        if fitted is None:
            continue
        p = fitted.probability(grid)
        assert np.all(np.diff(p) >= 0)
        assert 0 < p.min() <= p.max() < 1
        again = calibrator_from_json(json.loads(json.dumps(fitted.to_json())))
        assert np.array_equal(again.probability(grid), p)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "other"},
        {"kind": "sigmoid", "intercept": 0, "slope": -1},
        {"kind": "isotonic", "margins": [0, 1], "probabilities": [0.5, 0.1]},
        {"kind": "isotonic", "margins": [0, 1], "probabilities": [0.0, 0.1]},
        {"kind": "isotonic", "margins": [], "probabilities": []},
        {"kind": "identity", "offsets": [0.0] * 11},
        {"kind": "identity", "offsets": [float("nan")] * 12},
        {"kind": "identity", "offsets": [11.0] * 12},
        {"kind": "other", "offsets": [0.0] * 12},
    ],
)
def test_what_is_no_calibrator_is_refused(body):
    with pytest.raises(StoreError, match="not a calibrator"):
        calibrator_from_json(body)


def test_a_shift_corrects_sampled_training_rows():
    """Stayers kept with chance w: log(w) is what the log-odds of the rest must be moved by."""
    margin, y = draw(lambda m: expit(m - 2), n=60_000)
    keep = (y == 1) | (np.random.default_rng(1).random(len(y)) < 0.2)
    sampled = fit_sigmoid(margin[keep], y[keep])
    p = sampled.shifted(np.log(0.2)).probability(margin)
    assert sampled.probability(margin).mean() > 1.5 * y.mean()
    assert p.mean() == pytest.approx(y.mean(), abs=0.005)


MONTHS = np.arange(12) + 12 * 50
SHAPES = [Identity(), Sigmoid(-0.3, 0.8), Isotonic((-2.0, 0.0, 1.0), (0.01, 0.2, 0.7))]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.kind)
def test_each_month_has_its_own_shift(shape):
    offsets = tuple(float(o) for o in np.linspace(-0.5, 0.7, 12))
    shifted = Shifted(shape, offsets)
    found = shifted.probability(np.zeros(12), MONTHS)
    plain = shape.probability(np.zeros(1))[0]
    np.testing.assert_allclose(logit(found), logit(plain) + np.array(offsets), atol=1e-9)
    average = shifted.probability(np.zeros(1))
    np.testing.assert_allclose(logit(average), logit(plain) + np.mean(offsets), atol=1e-9)
    assert shifted.kind == shape.kind
    assert shifted.probability(np.zeros(0), np.zeros(0, dtype=np.int64)).shape == (0,)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.kind)
def test_a_shift_of_nothing_changes_nothing(shape):
    margin = np.linspace(-40, 40, 12)
    for month in (None, MONTHS):
        np.testing.assert_array_equal(Shifted(shape, (0.0,) * 12).probability(margin, month), shape.probability(margin))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SHAPES),
    st.lists(st.floats(-10, 10), min_size=12, max_size=12),
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20),
    st.integers(0, 11),
)
def test_shifted_probabilities_rise_are_never_certain_and_survive_json(shape, offsets, margins, month):
    shifted = Shifted(shape, tuple(offsets))
    margin = np.sort(np.array(margins))
    p = shifted.probability(margin, np.full(len(margin), month))
    assert np.all(np.diff(p) >= 0)
    assert 0 < p.min() <= p.max() < 1
    again = calibrator_from_json(json.loads(json.dumps(shifted.to_json())))
    assert again == shifted
    assert shifted.shifted(0.5).offsets == tuple(o + 0.5 for o in offsets)
