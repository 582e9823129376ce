"""PSI and KL against hand calculations, and their behaviour by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, false_discovery_control, kstest

from holdfast.monitoring.divergence import adjusted, compute_chance, kl, psi, smoothed

Counts = NDArray[np.int64]
histograms = st.integers(2, 8).flatmap(
    lambda b: st.tuples(*[st.lists(st.integers(0, 500), min_size=b, max_size=b).map(np.array)] * 2)
)


def test_psi_and_kl_by_hand() -> None:
    """Counts 49.5 and 99.5 plus half a row are 1/3 and 2/3; the reference is one half each."""
    a, b = np.array([49, 100]), np.array([150, 150])
    p, q = np.array([49.5, 100.5]) / 150, np.array([0.5, 0.5])
    assert smoothed(a) == pytest.approx(p)
    assert psi(a, b) == pytest.approx((0.33 - 0.5) * np.log(0.33 / 0.5) + (0.67 - 0.5) * np.log(0.67 / 0.5))
    assert kl(a, b) == pytest.approx(float(np.sum(p * np.log(p / q))))


def test_smoothing_does_not_make_psi_grow_with_the_size_of_the_reference() -> None:
    """A new category of 2% is as far from a million rows without it as from a hundred thousand."""
    current = np.array([980, 20])
    values = [psi(current, np.array([n, 0])) for n in (100_000, 1_000_000, 10_000_000)]
    assert max(values) - min(values) < 1e-6
    assert values[0] == pytest.approx(0.02 * np.log(0.02 / 1e-4), rel=0.05)


@given(histograms)
def test_both_are_zero_only_for_equal_shares_and_never_negative(pair: tuple[Counts, Counts]) -> None:
    a, b = pair
    assert psi(a, a) == 0
    assert kl(a, a) == 0
    assert psi(a, b) >= 0
    assert kl(a, b) >= 0
    assert psi(a, b) == pytest.approx(psi(b, a))
    assert psi(a, b) == pytest.approx(kl(a, b) + kl(b, a), abs=1e-9)


def test_the_p_value_is_pearsons() -> None:
    a, b = np.array([60, 80, 120]), np.array([500, 400, 900])
    expected = chi2_contingency(np.array([a, b]), correction=False).pvalue
    assert compute_chance(a, b, 0.05, reference_size=float(b.sum())).p == pytest.approx(expected)


def test_chance_alone_gives_the_psi_it_says_and_uniform_p() -> None:
    rng = np.random.default_rng(1)
    share = rng.dirichlet(np.full(10, 5.0))
    n, m = 3000, 500
    draws = [(rng.multinomial(m, share), rng.multinomial(n, share)) for _ in range(1500)]
    found = [compute_chance(a, b, 0.05, reference_size=n) for a, b in draws]
    values = np.array([psi(a, b) for a, b in draws])
    assert values.mean() == pytest.approx(found[0].psi_expected, rel=0.06)
    assert np.mean(values > found[0].psi_critical) == pytest.approx(0.05, abs=0.025)
    assert kstest([c.p for c in found], "uniform").pvalue > 1e-3


@given(histograms)
def test_the_p_value_is_a_probability_even_where_bins_are_empty(pair: tuple[Counts, Counts]) -> None:
    a, b = pair
    if a.sum() and b.sum():
        chance = compute_chance(a, b, 0.05, reference_size=float(b.sum()))
        assert 0 <= chance.p <= 1
        assert chance.psi_expected >= 0
        assert chance.psi_critical >= chance.psi_expected or chance.psi_critical == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusting_agrees_with_scipy(p: list[float]) -> None:
    assert adjusted(np.array(p)) == pytest.approx(false_discovery_control(p))


def test_adjusting_nothing() -> None:
    assert len(adjusted(np.array([]))) == 0
