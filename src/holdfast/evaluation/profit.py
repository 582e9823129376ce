"""What a ranking is worth in money: profit at a budget, and the expected maximum profit for churn (EMPC).

EMPC: Verbraken, Verbeke and Baesens, "A novel profit maximizing metric for measuring classification
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

from holdfast.evaluation.arrays import FloatArray, checked, dot, refuse
from holdfast.evaluation.ranking import Ranked


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

    Exact up to the incomplete beta function: for a given g the best threshold is a corner of the ROC curve's
    convex hull, and each corner is best on one interval of g (section 4 of the paper).

    Parameters
    ----------
    y, p : (n,) labels (1 is a churner) and scores
    terms : costs and the acceptance distribution

    Raises
    ------
    DataError
        One class is absent, or an offer costs as much as the customer is worth.
    """
    terms = terms or OfferTerms()
    labels, scores, _ = checked(y, p)
    positives = labels.sum()
    if positives in (0, len(labels)):
        raise refuse("these predictions have no expected profit", "one class is absent")
    d, f = terms.offer_cost / terms.clv, terms.contact_cost / terms.clv
    if d >= 1:
        raise refuse("these predictions have no expected profit", "the offer costs the customer's whole value")
    rate = float(positives) / len(labels)
    churners, stayers = roc_hull(labels, scores)
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


def roc_hull(y: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Corners of the ROC curve's upper convex hull from (0, 0) to (1, 1).

    Returns
    -------
    churners, stayers : shares of each class at or above each corner's score, rising
    """
    ranked = Ranked(y, p)
    last = np.append(np.flatnonzero(np.diff(ranked.p) != 0), ranked.n - 1)
    tpr = np.concatenate(([0.0], np.cumsum(ranked.y)[last]))
    fpr = np.concatenate(([0.0], np.cumsum(1 - ranked.y)[last]))
    hull: list[int] = []
    for i in range(len(tpr)):
        # counts are whole, so the turn is exact
        while len(hull) > 1:
            j, k = hull[-2], hull[-1]
            if (tpr[k] - tpr[j]) * (fpr[i] - fpr[j]) > (tpr[i] - tpr[j]) * (fpr[k] - fpr[j]):
                break
            hull.pop()
        hull.append(i)
    return tpr[hull] / tpr[-1], fpr[hull] / fpr[-1]


def profit_at_budget(
    y: ArrayLike, p: ArrayLike, budget: float, terms: OfferTerms | None = None, value: ArrayLike | None = None
) -> float:
    """Profit of contacting customers by falling score until the contact budget is spent.

    Parameters
    ----------
    y, p : (n,) labels and scores
    budget : money for contacts; ``budget / contact_cost`` customers are contacted, the last one in part, and
        a tie at the edge counts in part too
    terms : costs; offers are accepted with their mean chance
    value : (n,) what each customer is worth if kept; ``terms.clv`` for all if not given

    Returns
    -------
    float
        Money in total; the offers' cost is counted but is not limited by the budget.
    """
    terms = terms or OfferTerms()
    labels, _, _ = checked(y, p)
    worth = np.full(len(labels), terms.clv) if value is None else np.asarray(value, dtype=np.float64)
    if worth.shape != labels.shape:
        raise refuse("this profit cannot be computed", f"value has shape {worth.shape}, not {labels.shape}")
    if terms.contact_cost <= 0:
        raise refuse("this profit cannot be computed", "contact_cost must be above 0 to limit a budget")
    ranked = Ranked(y, p)
    kept = terms.acceptance * (worth[ranked.order] - terms.offer_cost)
    earned = np.where(ranked.y == 1, kept, -terms.offer_cost) - terms.contact_cost
    last = np.append(np.flatnonzero(np.diff(ranked.p) != 0), ranked.n - 1)
    rows = np.concatenate(([0.0], last + 1.0))
    total = np.concatenate(([0.0], np.cumsum(earned)[last]))
    return float(np.interp(min(budget / terms.contact_cost, ranked.n), rows, total))
