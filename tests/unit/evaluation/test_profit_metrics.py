"""EMPC against direct numeric integration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from holdfast.errors import DataError
from holdfast.evaluation.profit import OfferTerms, empc, roc_hull
from holdfast.evaluation.ranking import Ranked


def integrate(y, p, terms, steps=4001):
    """The definition: the best threshold at each acceptance, averaged over a fine grid of its distribution."""
    g = (np.arange(steps) + 0.5) / steps
    mass = np.diff(beta.cdf(np.linspace(0, 1, steps + 1), terms.alpha, terms.beta))
    cuts = np.append(np.unique(p), np.inf)
    contacted = p[None, :] >= cuts[:, None]
    churners = (contacted & (y == 1)).mean(axis=1)
    stayers = (contacted & (y == 0)).mean(axis=1)
    d, f = terms.offer_cost, terms.contact_cost
    profit = (g[:, None] * (terms.clv - d) - f) * churners - (d + f) * stayers
    best = profit.argmax(axis=1)
    return float((profit.max(axis=1) * mass).sum()), float(((churners + stayers)[best] * mass).sum())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(200, 10, 1), (50, 20, 5), (1000, 10, 0)]))
def test_empc_is_the_integral_of_the_best_profit(seed, costs):
    rng = np.random.default_rng(seed)
    y = (rng.random(80) < 0.25).astype(float)
    y[:2] = 0, 1
    p = np.round(np.clip(0.3 * y + rng.random(80) * 0.7, 0, 1), 1)
    terms = OfferTerms(*map(float, costs))
    value, share = integrate(y, p, terms)
    found = empc(y, p, terms)
    assert found.value == pytest.approx(value, abs=2e-3 * terms.clv / 100)
    assert found.share == pytest.approx(share, abs=2e-3)


def test_a_perfect_ranking_contacts_the_churners():
    y = np.array([1.0] * 20 + [0.0] * 80)
    terms = OfferTerms()
    found = empc(y, y, terms)
    assert found.share == pytest.approx(0.2, abs=0.01)
    assert found.value == pytest.approx(0.2 * (0.3 * 190 - 1), rel=0.01)


def test_the_hull_is_concave_and_runs_from_corner_to_corner():
    rng = np.random.default_rng(0)
    y = (rng.random(300) < 0.3).astype(float)
    ranked = Ranked(y, y * 0.3 + rng.random(300))
    churners, stayers = roc_hull(ranked.steps(ranked.unit()))
    assert (churners[0], stayers[0], churners[-1], stayers[-1]) == (0, 0, 1, 1)
    slope = np.diff(churners) / np.maximum(np.diff(stayers), 1e-12)
    assert np.all(np.diff(slope) < 0)


def test_what_has_no_profit_is_refused():
    with pytest.raises(DataError, match="one class"):
        empc([0, 0], [0.1, 0.2])
    with pytest.raises(DataError, match="whole value"):
        empc([0, 1], [0.1, 0.2], OfferTerms(clv=10, offer_cost=10))
