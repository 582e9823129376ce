"""Spending a budget: at most one action per customer, the greatest total expected value.

This is the multiple-choice knapsack. Per customer only actions on the upper concave hull of (cost, value) can
belong to the optimum of its linear relaxation; walking each hull gives increments of falling value per money.
Taking increments of all customers by value per money solves the relaxation exactly (Sinha & Zoltners 1979;
Kellerer, Pferschy & Pisinger 2004, ch. 11). The first increment that does not fit gives the upper bound; the
money left is spent on later increments that still fit. The result is within that one increment of the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import DataError, Problem

COST_SCALE = 1_000_000  # money is summed in whole millionths, so a budget is kept exactly
MAX_TOTAL = 2**62

NO_ACTION = -1


@dataclass(frozen=True)
class Allocation:
    """Who gets which action.

    Attributes
    ----------
    choice : (n,) index of the action, `NO_ACTION` for none. Customers who do not spend (the holdout) are chosen by
        the same price, and are not part of the totals
    value, cost : totals of the customers who spend
    bound : no allocation can be worth more than this (the linear relaxation's optimum)
    price : value per money of the first increment that did not fit: what one more unit of budget would bring; 0 if
        everything fits
    """

    choice: NDArray[np.int64]
    value: float
    cost: float
    bound: float
    price: float

    @property
    def gap(self) -> float:
        """How far the value can be from the best possible, in money."""
        return max(0.0, self.bound - self.value)


@dataclass(frozen=True)
class _Increments:
    """Steps up the customers' hulls; ``step`` counts from 0 within a customer."""

    customer: NDArray[np.int64]
    action: NDArray[np.int64]
    step: NDArray[np.int64]
    cost: NDArray[np.int64]
    gain: NDArray[np.float64]
    slope: NDArray[np.float64]

    def sorted(self, order: NDArray[np.int64]) -> _Increments:
        i = np.lexsort((self.step, order[self.customer], -self.slope))
        return _Increments(self.customer[i], self.action[i], self.step[i], self.cost[i], self.gain[i], self.slope[i])


def allocate(
    value: NDArray[np.float64],
    cost: NDArray[np.float64],
    budget: float | None,
    *,
    allowed: NDArray[np.bool_],
    order: NDArray[np.int64] | None = None,
    spends: NDArray[np.bool_] | None = None,
) -> Allocation:
    """Choose at most one allowed action of positive value per customer, within ``budget``.

    Parameters
    ----------
    value : (n, k) expected value of each action, after its cost
    cost : (k,) money per action, not negative
    budget : money, or None for no limit
    allowed : (n, k) actions open to each customer
    order : (n,) rank that breaks ties of value per money; the row number by default
    spends : (n,) False for customers of the holdout: they are chosen where the same price would choose them, but
        cost nothing, so the budget is fully used on those contacted and the two groups are chosen alike

    Notes
    -----
    More budget never lowers the value: where two budgets first part, the larger one takes an increment worth
    more than all that the smaller one can still buy at a lower value per money.

    Raises
    ------
    DataError
        Costs so large that their sum cannot be held exactly.
    """
    n = len(value)
    units = np.rint(cost * COST_SCALE)
    if n and len(units) and float(units.max()) * n >= MAX_TOTAL:
        raise DataError("the budget cannot be allocated", [Problem("decisions.actions", "costs are too large to sum")])
    order = np.arange(n, dtype=np.int64) if order is None else order
    spends = np.ones(n, dtype=np.bool_) if spends is None else spends
    steps = _increments(value, units.astype(np.int64), allowed).sorted(order)
    paid = np.where(spends[steps.customer], steps.cost, 0)
    total = np.cumsum(paid)
    # clipped first: a budget far above all costs must not overflow
    limit = int(MAX_TOTAL) if budget is None else int(np.floor(min(budget * COST_SCALE + 1e-3, MAX_TOTAL)))
    fit = int(np.searchsorted(total, limit, side="right"))  # paid >= 0, so the running total ascends
    taken = np.arange(len(paid)) < fit
    bound_extra, price = 0.0, 0.0
    if fit < len(paid):
        left = limit - (int(total[fit - 1]) if fit else 0)
        price = float(steps.slope[fit])
        bound_extra = price * left
        taken |= _fill(steps, fit, left, spends)
    counted = taken & spends[steps.customer]
    prefix = float(np.sum(steps.gain[:fit][counted[:fit]]))
    choice = _last_action(steps, taken, n)
    return Allocation(
        choice=choice,
        value=float(np.sum(steps.gain[counted])),
        cost=int(paid[taken].sum()) / COST_SCALE,
        bound=prefix + bound_extra,
        price=price * COST_SCALE,
    )


def _increments(value: NDArray[np.float64], cost: NDArray[np.int64], allowed: NDArray[np.bool_]) -> _Increments:
    """Walk every customer's hull from (0, 0): always to the action with the steepest gain per money."""
    n, k = value.shape
    by_cost = np.argsort(cost, kind="stable")
    cost = cost[by_cost]
    v = np.where(allowed, value, -np.inf)[:, by_cost]
    rows = np.arange(n, dtype=np.int64)
    here_cost, here_value, steepest = np.zeros(n, dtype=np.int64), np.zeros(n), np.full(n, np.inf)
    found: list[tuple[NDArray[np.int64], ...]] = []
    gains: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for step in range(k):
        gain, extra = v[rows] - here_value[:, None], cost[None, :] - here_cost[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where((gain > 0) & (extra >= 0), gain / extra, -np.inf)
        if step == 0:  # free actions: only the best one matters, not the first of many infinite slopes
            free = np.where(cost[None, :] == 0, gain, -np.inf)
            slope[(free > 0) & (free < free.max(axis=1, keepdims=True))] = -np.inf
        best = np.argmax(slope, axis=1)  # of equal slopes the cheaper: finer steps fill a budget better
        at = np.arange(len(rows))
        up = slope[at, best] > 0
        at, best, rows = at[up], best[up], rows[up]
        if not len(rows):
            break
        steepest = np.minimum(steepest[up], slope[at, best])  # falling in exact arithmetic; keep it so in floats
        found.append((rows, by_cost[best], np.full(len(rows), step, dtype=np.int64), extra[at, best]))
        gains.append((gain[at, best], steepest))
        here_cost, here_value = cost[best], v[rows, best]
    if not found:
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        return _Increments(none, none, none, none, nothing, nothing)
    customer, action, steps, extra = (np.concatenate(c) for c in zip(*found, strict=True))
    gain, slope = (np.concatenate(c) for c in zip(*gains, strict=True))
    return _Increments(customer, action, steps, extra, gain, slope)


def _fill(steps: _Increments, fit: int, left: int, spends: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Spend what is left on later increments that fit, in order; one skipped blocks its customer's later ones.

    Equal to going through them one by one, but in as many rounds as there are distinct costs, not customers.
    """
    taken = np.zeros(len(steps.cost), dtype=np.bool_)
    rest = np.flatnonzero(spends[steps.customer] & (np.arange(len(steps.cost)) >= fit))
    while len(rest):
        too_dear = rest[steps.cost[rest] > left]  # money only falls, so these are never bought
        blocked = np.full(len(spends), np.iinfo(np.int64).max)
        np.minimum.at(blocked, steps.customer[too_dear], steps.step[too_dear])
        rest = rest[steps.step[rest] < blocked[steps.customer[rest]]]
        total = np.cumsum(steps.cost[rest])
        count = int(np.searchsorted(total, left, side="right"))
        taken[rest[:count]] = True
        left -= int(total[count - 1]) if count else 0
        rest = rest[count:]
    return taken


def _last_action(steps: _Increments, taken: NDArray[np.bool_], n: int) -> NDArray[np.int64]:
    choice = np.full(n, NO_ACTION, dtype=np.int64)
    for step in range(int(steps.step.max(initial=-1)) + 1):  # a later step replaces an earlier one
        at = taken & (steps.step == step)
        choice[steps.customer[at]] = steps.action[at]
    return choice
