"""How far the odds of churn lie, month by month, from what a model says: its level now and its season.

A model without calendar features says the same of the same customer in every month; the business does not. What is left
over in a month is its *offset*: the constant that must be added to all log-odds for the predicted and the observed
number of churners to agree. Offsets of a few dozen months, each known up to luck, are smoothed by a structural time
series (Harvey 1989): a level that may wander and an effect of each month of the year, both drawn towards nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import coo_matrix
from scipy.special import expit, logit

from holdfast.evaluation.arrays import FloatArray, IntArray

YEAR = 12
MAX_MARGIN = 30.0  # expit(30) is 1 - 1e-13: still not 1 in float64
START_SD = 0.5
"""Of the level before the first month, in log-odds: calibrated on about these months, it is not far off."""
LEVEL_SD = 0.03
"""Scale of the half-normal prior of how far the level moves in a month."""
SEASON_SD = 0.1
"""Mode of the Rayleigh prior of how far months of the year differ: about a tenth, up or down. It is zero at zero
(Chung et al. 2013): the likelihood of two or three years alone often peaks at "no season" by chance."""
NODES, REACH = 10, 3.0
"""Each prior is summed over so many standard deviations, from 0 to ``REACH`` times its scale."""
NEWTON_STEPS, MOST_STEP = 60, 2.0


@dataclass(frozen=True)
class MonthOffsets:
    """Offsets of T months, ascending.

    Attributes
    ----------
    months : (T,) months since January 1970
    offset : (T,) log-odds to be added
    covariance : (T, T) of their sampling, customers being drawn; a customer is in many months
    """

    months: IntArray
    offset: FloatArray
    covariance: FloatArray

    def before(self, month: int) -> MonthOffsets:
        """Those of earlier months."""
        n = int(np.searchsorted(self.months, month))
        return MonthOffsets(self.months[:n], self.offset[:n], self.covariance[:n, :n])


@dataclass(frozen=True)
class Forecast:
    """Offsets expected in (t,) other months and their standard errors."""

    offset: FloatArray
    se: FloatArray


def month_of(times: npt.NDArray[np.datetime64]) -> IntArray:
    """Months since January 1970; ``% 12`` is 0 for January."""
    found: IntArray = times.astype("datetime64[M]").astype(np.int64)
    return found


def offset(margin: FloatArray, y: FloatArray) -> tuple[float, float]:
    """The constant o with ``sum(expit(margin + o)) == sum(y)``, and the information on it.

    With nobody (or everybody) a churner it would be infinite; then half a churner (or stayer) is supposed.
    """
    n = len(y)
    wanted = min(max(float(y.sum()), 0.5), n - 0.5)
    found = 0.0
    for _ in range(NEWTON_STEPS):
        p = expit(margin + found)
        step = (wanted - p.sum()) / max(float((p * (1 - p)).sum()), 1e-12)
        found += float(np.clip(step, -MOST_STEP, MOST_STEP))
        if abs(step) < 1e-12:
            break
    p = expit(margin + found)
    return found, float((p * (1 - p)).sum())


def month_offsets(margin: FloatArray, y: FloatArray, month: IntArray, clusters: IntArray) -> MonthOffsets:
    """The offset of every month.

    Parameters
    ----------
    margin : (n,) log-odds of a model that has seen neither the row nor its customer
    y : (n,) labels
    month : (n,) months since January 1970
    clusters : (n,) customer codes
    """
    months, at = np.unique(month, return_inverse=True)
    found = np.empty(len(months))
    information = np.empty(len(months))
    for k in range(len(months)):
        found[k], information[k] = offset(margin[at == k], y[at == k])
    left = (y - expit(margin + found[at])) / information[at]
    code = np.unique(clusters, return_inverse=True)[1]
    by_customer = coo_matrix((left, (code, at)), shape=(int(code.max()) + 1, len(months))).tocsr()
    covariance = np.asarray((by_customer.T @ by_customer).todense(), dtype=np.float64)
    # a month without churners has small residuals, and is not known well for that
    np.fill_diagonal(covariance, np.maximum(np.diag(covariance), 1 / information))
    return MonthOffsets(months, found, covariance)


def forecast(known: MonthOffsets, months: IntArray) -> Forecast:
    """Expected offsets of ``months`` (t,), none of them before the last known month.

    ``offset = level + season[month of the year] + luck``; the level is a random walk, the season's effects are
    independent, and both standard deviations are summed over their posterior on a grid. Few months, or months that do
    not differ by more than luck: all are near 0.
    """
    if not len(known.months):
        return Forecast(np.zeros(len(months)), np.full(len(months), np.inf))
    weights, means, variances = [], [], []
    for log_weight, mean, variance in _on_grid(known, months):
        weights.append(log_weight)
        means.append(mean)
        variances.append(variance)
    weight = np.exp(np.array(weights) - max(weights))
    weight /= weight.sum()
    mean = (weight[:, None] * np.array(means)).sum(axis=0)
    # of a mixture: the mean of the variances and the variance of the means
    variance = (weight[:, None] * (np.array(variances) + (np.array(means) - mean) ** 2)).sum(axis=0)
    return Forecast(mean, np.sqrt(variance))


def _on_grid(known: MonthOffsets, months: IntArray) -> Iterator[tuple[float, FloatArray, FloatArray]]:
    """Log posterior weight, mean and variance of the forecast, for each pair of standard deviations."""
    steps = np.concatenate([known.months, months]) - known.months[0]
    n = len(known.months)
    walk = np.minimum(steps[:, None], steps[None, :]).astype(np.float64)
    of_year = (known.months[0] + steps) % YEAR
    same = (of_year[:, None] == of_year[None, :]).astype(np.float64)
    nodes = np.linspace(0.0, REACH, NODES)
    for a in nodes:
        for b in nodes[1:]:  # the prior of b is zero at zero
            prior = START_SD**2 + (a * LEVEL_SD) ** 2 * walk + (b * SEASON_SD) ** 2 * same
            factor = cho_factor(prior[:n, :n] + known.covariance, lower=True)
            solved = cho_solve(factor, np.column_stack([known.offset, prior[:n, n:]]))
            log_likelihood = -0.5 * float((known.offset * solved[:, 0]).sum()) - float(np.log(np.diag(factor[0])).sum())
            mean = (prior[n:, :n] * solved[:, 0]).sum(axis=1)
            variance = np.diag(prior)[n:] - (prior[n:, :n] * solved[:, 1:].T).sum(axis=1)
            yield log_likelihood - 0.5 * (a * a + b * b) + float(np.log(b)), mean, variance


def shifted_odds(p: FloatArray, by: float) -> FloatArray:
    """Probabilities whose odds are multiplied by ``exp(by)`` (Saerens, Latinne and Decaestecker 2002, formula 4).

    Examples
    --------
    >>> shifted_odds(np.array([0.5, 0.1]), float(np.log(1 / 9))).round(6).tolist()
    [0.1, 0.012195]
    """
    found: FloatArray = p if by == 0 else expit(np.clip(logit(p) + by, -MAX_MARGIN, MAX_MARGIN))
    return found
