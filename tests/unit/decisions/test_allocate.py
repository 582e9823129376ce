"""The budget against HiGHS's exact optimum, and what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from holdfast.decisions.allocate import NO_ACTION, Allocation, allocate
from holdfast.errors import DataError

Array = NDArray[np.float64]


def exact(value: Array, cost: Array, budget: float, allowed: NDArray[np.bool_], *, whole: bool = True) -> float:
    """The optimum (of the linear relaxation if not ``whole``): an independent solver, one variable per pair."""
    n, k = value.shape
    each = np.kron(np.eye(n), np.ones(k))
    upper = (allowed & (value > 0)).astype(float).ravel()
    found = milp(
        -np.where(upper > 0, value.ravel(), 0.0),
        constraints=[LinearConstraint(each, ub=1), LinearConstraint(np.tile(cost, n)[None, :], ub=budget)],
        bounds=Bounds(0, upper),
        integrality=np.full(n * k, int(whole)),
        options={"mip_rel_gap": 0.0},
    )
    assert found.success
    return float(-found.fun)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Array, Array, float, NDArray[np.bool_]]:
    n, k = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    coarse = draw(st.booleans())  # ties of value per money
    value = rng.integers(-3, 12, (n, k)) * 1.0 if coarse else rng.normal(4, 6, (n, k))
    cost = rng.integers(0, 6, k) * 1.0 if coarse else np.round(rng.gamma(2, 2, k), 2)
    budget = float(draw(st.sampled_from([0.0, 1.0, 3.5, 7.0, 12.0, 100.0])))
    return value, cost, budget, rng.random((n, k)) < 0.8


def checked(value: Array, cost: Array, budget: float | None, allowed: NDArray[np.bool_]) -> Allocation:
    found = allocate(value, cost, budget, allowed=allowed)
    acts = np.flatnonzero(found.choice != NO_ACTION)
    chosen = found.choice[acts]
    assert allowed[acts, chosen].all()
    assert (value[acts, chosen] > 0).all()
    assert found.value == pytest.approx(value[acts, chosen].sum())
    assert found.cost == pytest.approx(cost[chosen].sum())
    if budget is not None:
        assert found.cost <= budget + 1e-9
    return found


@settings(max_examples=120, deadline=None)
@given(problems())
def test_it_is_within_one_item_of_the_optimum(problem: tuple[Array, Array, float, NDArray[np.bool_]]) -> None:
    value, cost, budget, allowed = problem
    found = checked(value, cost, budget, allowed)
    best = exact(value, cost, budget, allowed)
    largest = float(np.where(allowed, value, 0.0).max(initial=0.0))
    assert found.value <= best + 1e-6
    assert best <= found.bound + 1e-6
    assert found.gap <= largest + 1e-6


@settings(max_examples=60, deadline=None)
@given(problems())
def test_the_bound_is_the_linear_relaxation(problem: tuple[Array, Array, float, NDArray[np.bool_]]) -> None:
    value, cost, budget, allowed = problem
    relaxed = exact(value, cost, budget, allowed, whole=False)
    assert allocate(value, cost, budget, allowed=allowed).bound == pytest.approx(relaxed, abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(problems())
def test_more_budget_never_lowers_the_value(problem: tuple[Array, Array, float, NDArray[np.bool_]]) -> None:
    value, cost, _, allowed = problem
    values = [checked(value, cost, b, allowed).value for b in np.arange(0.0, 20.0, 0.5)]
    assert (np.diff(values) >= -1e-9).all()
    unlimited = checked(value, cost, None, allowed)
    assert unlimited.value >= values[-1] - 1e-9
    assert unlimited.gap == 0
    assert unlimited.value == pytest.approx(np.where(allowed, value, 0).max(axis=1).clip(0).sum())


def one_by_one(value: Array, cost: Array, budget: float, allowed: NDArray[np.bool_]) -> float:
    """The greedy walk in plain Python: the slow twin of the vectorised one. Costs in whole units."""
    steps = []
    for i in range(len(value)):
        c, v, rank = 0.0, 0.0, 0
        while True:
            up = [
                (np.inf if cost[j] == c else (value[i, j] - v) / (cost[j] - c), -cost[j], value[i, j], j)
                for j in range(len(cost))
                if allowed[i, j] and value[i, j] > v and cost[j] >= c
            ]
            if not up:
                break
            free = [u for u in up if u[0] == np.inf]
            slope, _, _, j = max(free, key=lambda u: u[2]) if free else max(up)
            steps.append((-slope, i, rank, cost[j] - c, value[i, j] - v))
            c, v, rank = cost[j], value[i, j], rank + 1
    left, total, blocked = budget, 0.0, set()
    for _, i, _, extra, gain in sorted(steps):
        if i in blocked or extra > left:
            blocked.add(i)
        else:
            left, total = left - extra, total + gain
    return total


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), budget=st.integers(0, 40))
def test_it_equals_the_slow_walk(seed: int, budget: int) -> None:
    rng = np.random.default_rng(seed)
    value, cost = rng.normal(4, 6, (12, 3)), rng.integers(0, 8, 3).astype(float)
    allowed = rng.random((12, 3)) < 0.8
    slow = one_by_one(value, cost, float(budget), allowed)
    assert allocate(value, cost, float(budget), allowed=allowed).value == pytest.approx(slow)


def test_ties_go_to_the_first_in_order() -> None:
    value, allowed = np.full((4, 1), 5.0), np.ones((4, 1), dtype=bool)
    found = allocate(value, np.array([1.0]), 2.0, allowed=allowed, order=np.array([3, 1, 0, 2]))
    assert found.choice.tolist() == [NO_ACTION, 0, 0, NO_ACTION]
    assert found.price == pytest.approx(5.0)


def test_who_does_not_spend_is_chosen_by_the_same_price_at_no_cost() -> None:
    value = np.array([[9.0], [8.0], [7.0], [2.0], [1.0]])
    spends = np.array([True, False, True, False, True])
    found = allocate(value, np.array([1.0]), 2.0, allowed=np.ones((5, 1), dtype=bool), spends=spends)
    # 2.0 comes before the price of 1.0 that the budget ends at, so it would have been chosen too
    assert found.choice.tolist() == [0, 0, 0, 0, NO_ACTION]
    assert (found.cost, found.value) == (2.0, 16.0)


def test_a_budget_in_cents_is_spent_to_the_cent() -> None:
    n = 1000
    found = allocate(np.ones((n, 1)), np.array([0.1]), 10.1, allowed=np.ones((n, 1), dtype=bool))
    assert (found.choice >= 0).sum() == 101
    assert found.cost == 10.1


def test_nothing_to_do() -> None:
    found = allocate(np.zeros((0, 2)), np.array([1.0, 2.0]), 5.0, allowed=np.zeros((0, 2), dtype=bool))
    assert (found.value, found.cost, found.bound, found.gap) == (0.0, 0.0, 0.0, 0.0)


def test_costs_that_cannot_be_summed_exactly() -> None:
    with pytest.raises(DataError, match="too large"):
        allocate(np.ones((2, 1)), np.array([1e14]), 5.0, allowed=np.ones((2, 1), dtype=bool))
