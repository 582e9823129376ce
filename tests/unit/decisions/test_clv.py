"""Lifetime value against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.config.business import Value
from holdfast.decisions.value import compute_clv, compute_lifetime, compute_segments


def test_the_sum_by_hand() -> None:
    value = Value(revenue="r", margin=0.5, annual_discount=0.21, horizon_months=2)
    lifetime = compute_lifetime(np.array([0.1, 0.3]), 1.0, value)
    assert lifetime.monthly_survival == pytest.approx(0.8)
    month = 1.21 ** (1 / 12)
    clv = compute_clv(np.array([100.0]), lifetime, value)
    assert clv[0] == pytest.approx(50 / month + 50 * 0.8 / month**2)


def test_a_longer_label_horizon_is_turned_into_a_monthly_survival() -> None:
    value = Value(revenue="r")
    assert compute_lifetime(np.array([0.19]), 2.0, value).monthly_survival == pytest.approx(0.9)


@given(
    mean=st.floats(0.0, 1.0),
    horizon=st.floats(0.5, 12.0),
    discount=st.floats(0.0, 0.9),
    months=st.integers(1, 120),
)
def test_the_geometric_series(mean: float, horizon: float, discount: float, months: int) -> None:
    """The sum equals its closed form, and lies between one month's and all months' undiscounted margin."""
    value = Value(revenue="r", annual_discount=discount, horizon_months=months)
    found = compute_lifetime(np.array([mean]), horizon, value)
    v = (1 + discount) ** (-1 / 12)
    q = found.monthly_survival * v
    closed = v * months if abs(1 - q) < 1e-9 else v * (1 - q**months) / (1 - q)
    assert found.months == pytest.approx(closed, rel=1e-6)
    assert v - 1e-12 <= found.months <= months + 1e-9


def test_unknown_revenue_has_no_value_and_negative_revenue_a_negative_one() -> None:
    value = Value(revenue="r")
    clv = compute_clv(np.array([np.nan, np.inf, -5.0, 0.0]), compute_lifetime(np.array([0.1]), 1.0, value), value)
    assert np.isnan(clv[:2]).all()
    assert clv[2] < 0
    assert clv[3] == 0


def test_segments_put_ties_with_a_quantile_below_it_and_leave_the_unknown_out() -> None:
    segment = compute_segments(np.array([1.0, 1.0, 1.0, 5.0, np.nan]), [0.5, 0.8])
    assert segment.tolist() == [0, 0, 0, 2, -1]
    assert compute_segments(np.array([np.nan]), [0.5]).tolist() == [-1]


def test_no_customers() -> None:
    value = Value(revenue="r")
    assert compute_lifetime(np.array([]), 1.0, value).monthly_survival == 1.0
