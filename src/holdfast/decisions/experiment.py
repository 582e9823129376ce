"""The relative effect of one randomised action: weighted rates, their ratio and its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtri  # scipy.stats takes a second to import

FloatArray = NDArray[np.float64]

MIN_CHURNED_TREATED = 10  # below it the delta method's normal approximation of the log rate is poor
PROPENSITY_GROUPS = 10
MIN_GROUP_VARIANCE = 5.0


@dataclass(frozen=True)
class Trial:
    """Assignments of one action.

    Attributes
    ----------
    customer : (n,) customer index; one customer may be assigned several times
    treated, churned : (n,) booleans
    propensity : (n,) probability of being treated, strictly between 0 and 1
    """

    customer: NDArray[np.int64]
    treated: NDArray[np.bool_]
    propensity: FloatArray
    churned: NDArray[np.bool_]


@dataclass(frozen=True)
class Measured:
    """What a trial shows. Rates are weighted by inverse propensity.

    Attributes
    ----------
    retention, low, high : 1 - rate_treated / rate_control and its interval
    difference : rate_treated - rate_control
    method : ``delta`` or, with few treated churners, ``sparse``
    """

    retention: float
    low: float
    high: float
    rate_treated: float
    rate_control: float
    difference: float
    n_treated: int
    n_control: int
    churned_treated: int
    churned_control: int
    customers: int
    method: str


def compute_mismatch(trial: Trial) -> float:
    """The p-value of the treatments, had they been drawn with the stated propensities.

    In groups of like propensity, the number treated minus the sum of propensities, squared over its variance
    ``sum e (1 - e)``: together a chi-square with one degree of freedom per group, since nothing was fitted. A small p
    says that treatment was not drawn as stated, so no weighting can make the arms comparable: a sample ratio
    mismatch (Fabijan et al. 2019, "Diagnosing sample ratio mismatch in online controlled experiments"). Groups
    matter: the propensity of the arm *received*, a common mistake, can be right on average and wrong in each.
    """
    e = trial.propensity
    edges = np.unique(np.quantile(e, np.arange(1, PROPENSITY_GROUPS) / PROPENSITY_GROUPS, method="inverted_cdf"))
    group = np.searchsorted(edges, e, side="left")
    surplus, variance = np.bincount(group, trial.treated - e), np.bincount(group, e * (1.0 - e))
    small = variance < MIN_GROUP_VARIANCE  # too few for the normal approximation alone: judged together
    surplus = np.append(surplus[~small], surplus[small].sum())
    variance = np.append(variance[~small], variance[small].sum())
    some = variance > 0
    return float(chdtrc(int(some.sum()), np.sum(surplus[some] ** 2 / variance[some])))


def compute_measured(trial: Trial, confidence: float) -> Measured:
    """The Hájek estimate of both churn rates, the share kept, and a customer-clustered interval.

    Rates are weighted means with weights 1/e (treated) and 1/(1-e) (control), e the propensity (Hájek 1971). The
    interval is that of the log of the rates' ratio by the delta method: each row's linearised contribution
    to the log ratio is summed by customer, so rows of one customer count as one draw.

    With fewer than `MIN_CHURNED_TREATED` treated churners half a churner is added to each arm's effective
    counts and the interval is Walter's (1975, "The distribution of Levin's measure of attributable risk"), up to 1
    where none churned: an arm without any churner is no proof of a perfect action.

    Parameters
    ----------
    trial : needs churners among the control
    confidence : of the interval, for example 0.95
    """
    y, t = trial.churned.astype(np.float64), trial.treated
    w1, w0 = t / trial.propensity, ~t / (1.0 - trial.propensity)
    rate1, rate0 = float(w1 @ y / w1.sum()), float(w0 @ y / w0.sum())
    z = float(ndtri(0.5 + confidence / 2.0))
    if y[t].sum() < MIN_CHURNED_TREATED:
        method = "sparse"
        n1, n0 = _effective(w1), _effective(w0)
        a, b = n1 * rate1 + 0.5, n0 * rate0 + 0.5
        log_ratio = float(np.log(a / (n1 + 0.5)) - np.log(b / (n0 + 0.5)))
        error = float(np.sqrt(1 / a - 1 / (n1 + 0.5) + 1 / b - 1 / (n0 + 0.5)))
    else:
        method = "delta"
        log_ratio = float(np.log(rate1 / rate0))
        contribution = w1 * (y - rate1) / (w1.sum() * rate1) - w0 * (y - rate0) / (w0.sum() * rate0)
        error = _clustered_error(contribution, trial.customer)
    return Measured(
        retention=1.0 - float(np.exp(log_ratio)),
        low=1.0 - float(np.exp(log_ratio + z * error)),
        # where none of the treated churned, the data do not rule out that none ever would
        high=1.0 - float(np.exp(log_ratio - z * error)) if y[t].any() else 1.0,
        rate_treated=rate1,
        rate_control=rate0,
        difference=rate1 - rate0,
        n_treated=int(t.sum()),
        n_control=int((~t).sum()),
        churned_treated=int(y[t].sum()),
        churned_control=int(y[~t].sum()),
        customers=len(np.unique(trial.customer)),
        method=method,
    )


def _effective(weight: FloatArray) -> float:
    """Kish's effective sample size: how many equally weighted rows carry as much information."""
    return float(weight.sum() ** 2 / np.sum(weight**2))


def _clustered_error(contribution: FloatArray, customer: NDArray[np.int64]) -> float:
    sums = np.bincount(customer, weights=contribution)
    clusters = len(np.unique(customer))
    # every customer code occurs, so zeros in `sums` are real
    return float(np.sqrt(clusters / max(clusters - 1, 1) * np.sum(sums**2)))
