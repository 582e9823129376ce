"""The bounded fit is the optimum: against SciPy's bounded optimiser, and against the conditions of an optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from holdfast.models.logistic import Logistic
from holdfast.models.newton import logistic_regression


def problem(seed, n=200, k=8):
    """Terms that say much of the same, for and against."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) @ rng.normal(size=(k, k))
    z /= z.std(axis=0)
    y = (rng.random(n) < expit(z @ rng.normal(size=k))).astype(float)
    y[:2] = 0, 1
    return z, y, rng.uniform(0.2, 5, n), rng.integers(-1, 2, k).astype(float)


def loss_and_gradient(b, z, y, w, l2):
    m = b[0] + z @ b[1:]
    r = w * (expit(m) - y)
    loss = np.dot(w, np.logaddexp(0, m) - y * m) + 0.5 * l2 * np.dot(b[1:], b[1:]) + 0.5e-9 * b[0] ** 2
    return loss, np.concatenate([[r.sum() + 1e-9 * b[0]], z.T @ r + l2 * b[1:]])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), l2=st.sampled_from([0.01, 1.0, 30.0]))
def test_within_bounds_it_is_scipys_optimum(seed, l2):
    z, y, w, sign = problem(seed)
    intercept, coef = logistic_regression(z, y, w, l2=l2, sign=sign)
    bounds = [(None, None)] + [(0 if s > 0 else None, 0 if s < 0 else None) for s in sign]
    peer = minimize(
        loss_and_gradient, np.zeros(len(sign) + 1), (z, y, w, l2), jac=True, bounds=bounds, method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
    )  # fmt: skip
    found = np.concatenate([[intercept], coef])
    loss, gradient = loss_and_gradient(found, z, y, w, l2)
    assert (coef * sign >= 0).all()
    assert loss <= peer.fun + 1e-9 * abs(peer.fun)
    np.testing.assert_allclose(found, peer.x, atol=2e-4)
    # Karush, Kuhn and Tucker: no gradient where free, and one that points out of bounds where held
    held = np.concatenate([[False], (coef == 0) & (sign != 0)])
    assert np.abs(gradient[~held]).max() < 1e-8 * w.sum()  # where it is smaller, the loss no longer shows it
    assert (gradient[1:][held[1:]] * sign[held[1:]] >= 0).all()


def test_a_coefficient_that_was_held_is_let_go_again():
    """Dropping whatever has the wrong sign, one fit after another, ends at a higher loss here."""
    z, y, w, _ = problem(7)
    intercept, coef = logistic_regression(z, y, w, l2=1.0, sign=np.ones(8))
    free = np.ones(8, dtype=bool)
    while (dropped := logistic_regression(z[:, free], y, w, l2=1.0))[1].min() < 0:
        free[np.flatnonzero(free)[dropped[1] < 0]] = False
    ours = loss_and_gradient(np.concatenate([[intercept], coef]), z, y, w, 1.0)[0]
    theirs = loss_and_gradient(np.concatenate([[dropped[0]], dropped[1]]), z[:, free], y, w, 1.0)[0]
    assert ours < theirs - 0.01


def test_without_bounds_it_is_the_penalised_optimum():
    z, y, w, _ = problem(1)
    found = logistic_regression(z, y, w, l2=2.0)
    assert np.abs(loss_and_gradient(np.concatenate([[found[0]], found[1]]), z, y, w, 2.0)[1]).max() < 1e-6


@pytest.mark.parametrize("direction", [-1, 1])
def test_the_logistic_estimator_bounds_values_and_not_their_being_missing(direction):
    z, y, _, _ = problem(3)
    x = z.astype(np.float32)
    x[::7, 0] = np.nan
    model = Logistic(l2=1).fit(x, y, seed=0, monotone=[direction, *[0] * 7])
    steps = model.contributions(np.tile(np.linspace(-2, 2, 9, dtype=np.float32)[:, None], 8))[:, 0]
    assert (direction * np.diff(steps) >= 0).all()


def test_without_a_penalty_terms_that_say_the_same_share_what_is_said():
    z, y, w, _ = problem(2, k=3)
    alone = logistic_regression(z, y, w, l2=0.0)
    intercept, coef = logistic_regression(np.column_stack([z, z[:, 0], -z[:, 1], np.zeros(len(z))]), y, w, l2=0.0)
    np.testing.assert_allclose(
        [intercept, coef[0] + coef[3], coef[1] - coef[4], coef[2]], [alone[0], *alone[1]], atol=1e-4
    )
    assert np.abs(coef).max() < 100


def test_columns_that_say_the_same_can_be_fitted_without_a_penalty():
    z, y, _, _ = problem(4)
    x = np.column_stack([z[:, 0], z[:, 0], z[:, 0] > 0, z[:, 0] <= 0]).astype(np.float32)
    assert np.isfinite(Logistic(l2=0).fit(x, y, seed=0, categorical=[2, 3]).margin(x)).all()
