"""What a ranking is worth at the best threshold: the expected maximum profit for churn (EMPC).

Verbraken, Verbeke and Baesens, "A novel profit maximizing metric for measuring classification
performance of customer churn prediction models", IEEE TKDE 25(5), 2013. Contacting the share of customers
above a threshold earns, per customer of the base,

    P(t; g) = CLV (g (1 - d) - f) pi0 F0(t) - CLV (d + f) pi1 F1(t)

with pi0, pi1 the shares of churners and stayers, F0, F1 the shares of each that are contacted, g the chance
that an offer keeps a churner, and d, f the offer's and the contact's cost as shares of CLV. g is not known and
is given a beta distribution; EMPC is the expectation of the maximum over t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc

from holdfast.evaluation.arrays import FloatArray, dot, refuse
from holdfast.evaluation.ranking import Ranked, Steps


@dataclass(frozen=True)
class OfferTerms:
    """What contacting costs and brings; the defaults are the paper's, in its currency.

    Attributes
    ----------
    clv : value of a customer who stays
    offer_cost : paid for each customer who takes the offer: stayers always, churners when kept
    contact_cost : paid for each customer contacted
    alpha, beta : of the beta distribution of the chance that an offer keeps a churner (mean 0.3)
    """

    clv: float = 200.0
    offer_cost: float = 10.0
    contact_cost: float = 1.0
    alpha: float = 6.0
    beta: float = 14.0

    @property
    def acceptance(self) -> float:
        """Mean chance that an offer keeps a churner."""
        return self.alpha / (self.alpha + self.beta)


@dataclass(frozen=True)
class ExpectedProfit:
    """EMPC: money per customer of the base, and the share of customers it is best to contact."""

    value: float
    share: float


def empc(y: ArrayLike, p: ArrayLike, terms: OfferTerms | None = None) -> ExpectedProfit:
    """Expected maximum profit per customer, and the expected best share to contact.

    Parameters
    ----------
    y, p : (n,) labels (1 is a churner) and scores
    terms : costs and the acceptance distribution

    Raises
    ------
    DataError
        One class is absent, or an offer costs as much as the customer is worth.
    """
    ranked = Ranked(y, p)
    found = empc_of_steps(ranked.steps(ranked.unit()), terms or OfferTerms())
    if np.isnan(found.value):
        raise refuse("these predictions have no expected profit", "one class is absent")
    return found


def empc_of_steps(steps: Steps, terms: OfferTerms) -> ExpectedProfit:
    """EMPC of one weighting; NaN when one class is absent.

    Exact up to the incomplete beta function: for a given g the best threshold is a corner of the ROC curve's
    convex hull, and each corner is best on one interval of g (section 4 of the paper).

    Raises
    ------
    DataError
        An offer costs as much as the customer is worth.
    """
    d, f = terms.offer_cost / terms.clv, terms.contact_cost / terms.clv
    if d >= 1:
        raise refuse("these predictions have no expected profit", "the offer costs the customer's whole value")
    if steps.positives <= 0 or steps.positives >= steps.total:
        return ExpectedProfit(float("nan"), float("nan"))
    rate = steps.positives / steps.total
    churners, stayers = roc_hull(steps)
    # corner i is better than corner i - 1 from this g on; rising, since the hull is concave
    gained, paid = np.diff(churners) * rate, np.diff(stayers) * (1 - rate)
    with np.errstate(divide="ignore"):
        start = ((d + f) * paid + f * gained) / ((1 - d) * gained)
    edges = np.concatenate(([0.0], np.minimum(start, 1.0), [1.0]))
    a, b = terms.alpha, terms.beta
    mass = np.diff(betainc(a, b, edges))
    mean = terms.acceptance * np.diff(betainc(a + 1, b, edges))  # the integral of g over each interval
    won = terms.clv * (1 - d) * rate * churners
    lost = terms.clv * (f * rate * churners + (d + f) * (1 - rate) * stayers)
    contacted = rate * churners + (1 - rate) * stayers
    return ExpectedProfit(dot(won, mean) - dot(lost, mass), dot(contacted, mass))


def roc_hull(steps: Steps) -> tuple[FloatArray, FloatArray]:
    """Corners of the ROC curve's upper convex hull from (0, 0) to (1, 1).

    The hull's slopes are the isotonic regression of the churn rate by falling score (Fawcett and Niculescu-Mizil
    2007). A corner can only follow a score that some churner has.

    Returns
    -------
    churners, stayers : shares of each class at or above each corner's score, rising
    """
    from scipy.optimize import isotonic_regression  # half a second to import, and few need it

    rows = np.diff(np.concatenate(([0.0], steps.rows, [steps.total])))
    gain = np.append(steps.gain, 0.0)
    there = rows > 0
    rows, gain = rows[there], gain[there]
    blocks = isotonic_regression(gain / rows, weights=rows, increasing=False).blocks
    true = np.concatenate(([0.0], np.cumsum(gain)))[blocks]
    false = np.concatenate(([0.0], np.cumsum(rows - gain)))[blocks]
    return true / true[-1], false / false[-1]
