"""Customer lifetime value, given that the customer is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.clock import MONTHS_PER_YEAR
from holdfast.config.business import Value


@dataclass(frozen=True)
class Lifetime:
    """How long and how heavily a kept customer's monthly margin counts.

    Attributes
    ----------
    mean_probability : mean predicted churn of the batch over the label horizon
    horizon_months : the label horizon, in months
    monthly_survival : share of customers kept from one month to the next
    months : discounted expected months of margin, ``sum_t s^(t-1) / (1+d)^(t/12)``
    """

    mean_probability: float
    horizon_months: float
    monthly_survival: float
    months: float

    def to_json(self) -> dict[str, Any]:
        return {
            "mean_probability": self.mean_probability,
            "horizon_months": self.horizon_months,
            "monthly_survival": self.monthly_survival,
            "discounted_months": self.months,
        }


def compute_lifetime(probability: NDArray[np.float64], horizon_months: float, value: Value) -> Lifetime:
    """The portfolio's survival, and the discounted months it leaves of ``value.horizon_months``.

    The expected value of an action is p(churn) x CLV x retention - cost: p(churn) already says how likely this
    customer is to go, so CLV is the worth of the customer *given that they stay*. A kept customer is then taken
    to be as loyal as the portfolio: the monthly hazard is constant and follows from the batch's mean predicted
    churn. The customer's own p is not used a second time; nor is it assumed that a saved customer is safe
    for ever. Both ends are guesses: a saved customer may be frailer than average, while a constant hazard
    understates how long a mixed portfolio lasts (Fader & Hardie 2007, "How to project customer retention").

    Parameters
    ----------
    probability : (n,) calibrated probabilities of churn over the label horizon
    horizon_months : the label horizon in months
    value : months counted and yearly discount rate

    Notes
    -----
    ``s = (1 - mean p)^(1 / horizon_months)`` and ``CLV = sum_{t=1..H} margin s^(t-1) / (1+d)^(t/12)``:
    Gupta & Lehmann (2003), "Customers as assets", with monthly instead of yearly periods, the first month's
    margin certain (the customer is kept) and received at the month's end.

    >>> flat = Value(revenue="price", margin=1.0, annual_discount=0.0, horizon_months=3)
    >>> compute_lifetime(np.array([0.5]), 1.0, flat).months  # 1 + 1/2 + 1/4
    1.75
    """
    mean = float(probability.mean()) if len(probability) else 0.0
    survival = (1.0 - mean) ** (1.0 / horizon_months)
    t = np.arange(1, value.horizon_months + 1)
    months = float(np.sum(survival ** (t - 1) / (1.0 + value.annual_discount) ** (t / MONTHS_PER_YEAR)))
    return Lifetime(mean, horizon_months, survival, months)


def compute_clv(revenue: NDArray[np.float64], lifetime: Lifetime, value: Value) -> NDArray[np.float64]:
    """Lifetime value if retained, in the project's currency.

    Parameters
    ----------
    revenue : (n,) revenue per month; NaN or infinite means unknown

    Returns
    -------
    clv : (n,) NaN where revenue is unknown: no value is invented for such a customer. Negative revenue gives
        a negative value: no action is ever chosen for one.
    """
    known = np.where(np.isfinite(revenue), revenue, np.nan)
    return np.asarray(known * value.margin * lifetime.months, dtype=np.float64)


def compute_segments(clv: NDArray[np.float64], quantiles: list[float]) -> NDArray[np.int64]:
    """Segment index by value: 0 is the lowest; a value equal to a quantile lies in the lower one; -1 is unknown.

    Parameters
    ----------
    clv : (n,) lifetime values; NaN is unknown
    quantiles : ascending, in (0, 1), taken over the known values of this batch
    """
    segment = np.full(len(clv), -1, dtype=np.int64)
    known = np.isfinite(clv)
    if known.any():
        edges = np.quantile(clv[known], quantiles)
        segment[known] = np.searchsorted(edges, clv[known], side="left")
    return segment
