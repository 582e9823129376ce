"""The profit at the project's own budget, against a slow oracle that spends the money customer by customer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import DataError
from holdfast.evaluation.campaign import Campaign, TierRule, campaign_profit, profit_curve


def best_action(p, i, campaign):
    """(expected value, action) of one customer, or None; of equal values the cheaper action."""
    found = None
    for j in np.argsort(campaign.cost, kind="stable"):
        tier = campaign.tiers
        if tier is not None and not tier.open[sum(p[i] >= tier.at_least) - 1, j]:
            continue
        expected = p[i] * campaign.value[i] * campaign.retention[j] - campaign.cost[j]
        good = campaign.eligible[i, j] and expected > 0 and campaign.value[i] > 0 and campaign.retention[j] > 0
        if good and (found is None or expected > found[0]):
            found = (expected, j)
    return found


def oracle(y, p, campaign):
    """Spend the budget by falling value per money; equal rates in every order, averaged."""
    n, budget = len(y), np.inf if campaign.budget is None else campaign.budget * len(y)
    groups: dict[float, list[tuple[float, float]]] = {}
    for i in range(n):
        found = best_action(p, i, campaign)
        if found is not None:
            expected, j = found
            cost = campaign.cost[j]
            earned = y[i] * campaign.value[i] * campaign.retention[j] - cost
            groups.setdefault(np.inf if cost == 0 else expected / cost, []).append((cost, earned))
    total = 0.0
    for rate in sorted(groups, reverse=True):
        orders = list(itertools.permutations(groups[rate])) if len(groups[rate]) < 6 else [tuple(groups[rate])]
        totals = []
        for order in orders:
            left, sum_ = budget, 0.0
            for cost, earned in order:
                part = 1.0 if cost <= left else left / cost
                left, sum_ = left - part * cost, sum_ + part * earned
            totals.append(sum_)
        budget = max(0.0, budget - sum(cost for cost, _ in groups[rate]))
        total += np.mean(totals)
    return total / n


def drawn(seed, n, k=3, *, tiers=True):
    rng = np.random.default_rng(seed)
    value = rng.choice([np.nan, -50.0, 0.0, 100.0, 200.0, 400.0], n)
    cost = rng.choice([0.0, 4.0, 10.0, 30.0], k)
    retention = rng.choice([-0.1, 0.0, 0.1, 0.2, 0.5], k)
    rule = TierRule(np.array([0.0, 0.3]), rng.random((2, k)) < 0.7) if tiers and rng.random() < 0.5 else None
    budget = None if rng.random() < 0.1 else float(rng.uniform(0, 8))
    campaign = Campaign(value, cost, retention, rng.random((n, k)) < 0.7, budget, rule)
    return (rng.random(n) < 0.3).astype(float), np.round(rng.random(n), 2), campaign


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_it_is_what_spending_customer_by_customer_brings(seed, n):
    y, p, campaign = drawn(seed, n)
    assert campaign_profit(y, p, campaign) == pytest.approx(oracle(y, p, campaign), abs=1e-9)


def test_ties_at_the_edge_count_by_the_mean_of_their_orders():
    for n, seed in itertools.product((3, 5), range(5)):
        y = (np.random.default_rng(seed).random(n) < 0.5).astype(float)
        same = Campaign(np.full(n, 100.0), np.array([10.0]), np.array([0.5]), np.ones((n, 1), bool), 4.2)
        assert campaign_profit(y, np.full(n, 0.4), same) == pytest.approx(oracle(y, np.full(n, 0.4), same))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 25))
def test_a_weight_is_a_repetition_and_the_budget_scales(seed, n):
    y, p, campaign = drawn(seed, n)
    counts = np.random.default_rng(seed).integers(0, 4, n)
    rows = np.repeat(np.arange(n), counts)
    if len(rows):
        repeated = campaign_profit(y[rows], p[rows], campaign.take(rows))
        assert campaign_profit(y, p, campaign, counts) == pytest.approx(repeated, abs=1e-9)


def test_money_is_spent_by_value_per_money_and_the_last_customer_counts_in_part():
    y, p = np.array([1.0, 0, 1, 0]), np.array([0.9, 0.8, 0.4, 0.01])
    campaign = Campaign(np.full(4, 100.0), np.array([5.0]), np.array([0.5]), np.ones((4, 1), bool), None)
    spending = {0.0: 0.0, 5.0: 45.0, 10.0: 40.0, 12.5: 62.5, 15.0: 85.0, 1000.0: 85.0}  # the fourth is not worth it
    for budget, earned in spending.items():
        limited = Campaign(campaign.value, campaign.cost, campaign.retention, campaign.eligible, budget / 4)
        assert campaign_profit(y, p, limited) == pytest.approx(earned / 4)
    assert campaign_profit(y, p, campaign) == pytest.approx(85 / 4)


def test_who_cannot_be_valued_or_kept_is_not_contacted():
    y, p = np.ones(3), np.full(3, 0.9)
    campaign = Campaign(np.array([np.nan, -10, 0]), np.array([0.0, 5]), np.array([0.5, -1]), np.ones((3, 2), bool), 9)
    assert campaign_profit(y, p, campaign) == 0


def test_what_does_not_fit_together_is_refused():
    ones = np.ones(2)
    with pytest.raises(DataError, match="shapes differ"):
        Campaign(ones, ones, ones, np.ones((3, 2), bool), 1)
    with pytest.raises(DataError, match="a cost is negative"):
        Campaign(ones, -ones, ones, np.ones((2, 2), bool), 1)
    with pytest.raises(DataError, match="the budget is -1"):
        Campaign(ones, ones, ones, np.ones((2, 2), bool), -1)
    good = Campaign(ones, ones, ones, np.ones((2, 2), bool), 1)
    with pytest.raises(DataError, match="it has 2 rows, the predictions 3"):
        campaign_profit([0, 1, 1], [0.1, 0.2, 0.3], good)
    with pytest.raises(DataError, match="outside"):
        campaign_profit([0, 1], [0.1, 1.2], good)


def test_the_curve_is_the_profit_at_every_budget():
    rng = np.random.default_rng(3)
    n = 200
    y, p = (rng.random(n) < 0.3).astype(float), rng.random(n).round(2)
    campaign = Campaign(rng.uniform(20, 200, n), np.array([4.0]), np.array([0.4]), np.ones((n, 1), bool), None)
    curve = profit_curve(y, p, campaign)
    assert curve[0].tolist() == [0.0, 0.0]
    for share, profit in curve:
        limited = Campaign(campaign.value, campaign.cost, campaign.retention, campaign.eligible, 4.0 * share)
        assert campaign_profit(y, p, limited) == pytest.approx(profit)
    assert campaign_profit(y, p, campaign) == pytest.approx(curve[-1, 1])


def test_where_nobody_is_worth_contacting_the_curve_is_a_point():
    campaign = Campaign(np.ones(3), np.array([5.0]), np.array([0.5]), np.ones((3, 1), bool), None)
    assert profit_curve(np.array([1.0, 0, 1]), np.full(3, 0.5), campaign).tolist() == [[0.0, 0.0]]
