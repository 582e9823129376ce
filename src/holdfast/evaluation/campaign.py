"""The profit of the project's own campaign: whom its budget would reach by these predictions, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdfast.evaluation.arrays import BoolArray, FloatArray, IntArray, checked, refuse


@dataclass(frozen=True)
class TierRule:
    """Actions open by risk tier. A tier follows from the prediction, so each model's customers have their own.

    Attributes
    ----------
    at_least : (t,) lowest probability of each tier, rising, the first 0
    open : (t, k) whether an action is open to the tier
    """

    at_least: FloatArray
    open: BoolArray


@dataclass(frozen=True)
class Campaign:
    """What n customers could be offered, and how much may be spent on them.

    Attributes
    ----------
    value : (n,) money kept with each customer who is kept; NaN where unknown: not contacted
    cost, retention : (k,) money paid per contact, and the share of would-be churners that the action keeps
    eligible : (n, k) actions open to each customer whatever the prediction
    budget : money per customer of the base, so that a part of the base has its part of the budget; None for no limit
    tiers : actions open by prediction; None where no action asks for a tier
    """

    value: FloatArray
    cost: FloatArray
    retention: FloatArray
    eligible: BoolArray
    budget: float | None
    tiers: TierRule | None = None

    def __post_init__(self) -> None:
        n, k = len(self.value), len(self.cost)
        problems = []
        if self.eligible.shape != (n, k) or self.retention.shape != (k,):
            problems.append(
                f"shapes differ: value ({n},), cost ({k},), retention {self.retention.shape}, "
                f"eligible {self.eligible.shape}"
            )
        if not (self.cost >= 0).all():
            problems.append("a cost is negative or not a number")
        if not np.isfinite(self.retention).all():
            problems.append("a retention is not finite")
        if self.budget is not None and not self.budget >= 0:
            problems.append(f"the budget is {self.budget}")
        if problems:
            raise refuse("this campaign has no profit", *problems)

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: IntArray | NDArray[np.bool_]) -> Campaign:
        """The same campaign for some of the customers."""
        return Campaign(self.value[rows], self.cost, self.retention, self.eligible[rows], self.budget, self.tiers)


class Contacts:
    """Customers worth contacting, in the order in which a budget reaches them.

    Each customer's action is the one of greatest expected value ``p x value x retention - cost`` among those that are
    open, of positive value and of positive retention; the cheaper of equals, as `holdfast.decisions` chooses it.
    Customers are reached by expected value per money. Decisions may move a customer to a dearer action when money
    is left; here everyone has one action, so that a prediction is judged by whom it puts first.

    Parameters
    ----------
    y, p : (n,) labels and probabilities
    campaign : of the same n rows
    """

    def __init__(self, y: FloatArray, p: FloatArray, campaign: Campaign) -> None:
        if len(campaign) != len(p):
            raise refuse("this campaign has no profit", f"it has {len(campaign)} rows, the predictions {len(p)}")
        self._budget = campaign.budget
        by_cost = np.argsort(campaign.cost, kind="stable")
        expected = (p * campaign.value)[:, None] * campaign.retention - campaign.cost
        with np.errstate(invalid="ignore"):
            open_to = campaign.eligible & (expected > 0) & (campaign.value > 0)[:, None] & (campaign.retention > 0)
        if campaign.tiers is not None:
            tier = np.searchsorted(campaign.tiers.at_least, p, side="right") - 1
            open_to &= campaign.tiers.open[tier]
        worth = np.flatnonzero(open_to.any(axis=1))
        best = by_cost[np.argmax(np.where(open_to, expected, -np.inf)[np.ix_(worth, by_cost)], axis=1)]
        cost = campaign.cost[best]
        with np.errstate(divide="ignore"):
            rate = expected[worth, best] / cost  # infinite where free: such a customer comes first
        first = np.argsort(-rate, kind="stable")
        rate, best, self._cost = rate[first], best[first], cost[first]
        self._rows = worth[first]
        self._earned: FloatArray = (y * campaign.value)[self._rows] * campaign.retention[best] - self._cost
        self._last = np.append(np.flatnonzero(rate[1:] != rate[:-1]), len(rate) - 1) if len(rate) else worth

    def profit(self, weight: FloatArray) -> float:
        """What came of contacting them until the budget was spent, in money per customer of the base.

        Equal expected values per money at the edge are reached in equal part: the mean over their random orders.

        Parameters
        ----------
        weight : (n,) how often each row counts, in the order of ``y`` and ``p``
        """
        total = float(weight.sum())
        if not len(self._rows):
            return 0.0
        w = weight[self._rows]
        earned = np.concatenate(([0.0], np.cumsum(w * self._earned)[self._last]))
        if self._budget is None:
            return float(earned[-1]) / total
        paid = np.concatenate(([0.0], np.cumsum(w * self._cost)[self._last]))
        limit = self._budget * total
        full = int(np.searchsorted(paid, limit, side="right"))  # paid[full - 1] <= limit < paid[full]
        if full == len(paid):
            return float(earned[-1]) / total
        part = (limit - paid[full - 1]) / (paid[full] - paid[full - 1])
        return float(earned[full - 1] + part * (earned[full] - earned[full - 1])) / total

    def curve(self) -> tuple[FloatArray, FloatArray]:
        """Profit by how many are contacted, without a budget.

        Returns
        -------
        contacted, profit : (g + 1,) customers, and money in all, at the end of each group of equal expected value per
            money; from nobody on
        """
        if not len(self._rows):
            return np.zeros(1), np.zeros(1)
        return np.append(0.0, self._last + 1.0), np.append(0.0, np.cumsum(self._earned)[self._last])


def profit_curve(y: ArrayLike, p: ArrayLike, campaign: Campaign) -> FloatArray:
    """(g, 2) share of the customers contacted, and what came of it in money per customer of the base.

    Customers who are not worth contacting at any budget are not on it.

    Examples
    --------
    >>> one = Campaign(np.array([100.0, 100.0]), np.array([5.0]), np.array([0.5]), np.ones((2, 1), bool), budget=2.5)
    >>> profit_curve([1, 0], [0.9, 0.2], one).tolist()
    [[0.0, 0.0], [0.5, 22.5], [1.0, 20.0]]
    """
    labels, probabilities, _ = checked(y, p)
    contacted, profit = Contacts(labels, probabilities, campaign).curve()
    return np.column_stack([contacted, profit]) / len(labels)


def campaign_profit(y: ArrayLike, p: ArrayLike, campaign: Campaign, weight: ArrayLike | None = None) -> float:
    """Money earned per customer of the base by spending the campaign's budget as these predictions say.

    The sum of ``y x value x retention - cost`` over those contacted, the last of them in part: who was going to stay
    brings nothing and costs the contact. ``value`` and ``retention`` are the project's estimates; what happened
    enters by ``y``, so labels must come from customers who were not treated (or were weighted to stand for them).

    Parameters
    ----------
    y, p : (n,) labels and probabilities
    campaign : of the same n rows
    weight : (n,) how often each row counts; once if not given

    Raises
    ------
    DataError
        Arrays that do not fit together, or a prediction outside [0, 1].

    Examples
    --------
    >>> one = Campaign(np.array([100.0, 100.0]), np.array([5.0]), np.array([0.5]), np.ones((2, 1), bool), budget=2.5)
    >>> campaign_profit([1, 0], [0.9, 0.2], one)  # 5 in all: the first is contacted, and 50 - 5 is kept
    22.5
    """
    labels, probabilities, w = checked(y, p, weight)
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise refuse("these predictions have no profit", "a prediction lies outside [0, 1]")
    return Contacts(labels, probabilities, campaign).profit(w)
