"""Clustered intervals: right in coverage, wider than row intervals, paired, repeatable."""

from __future__ import annotations

import json

import numpy as np
import pytest

from holdfast.errors import DataError, UsageError
from holdfast.evaluation.calibration import brier, log_loss
from holdfast.evaluation.campaign import Campaign, campaign_profit
from holdfast.evaluation.intervals import Evaluation, evaluate, paired_difference, replicate_counts
from holdfast.evaluation.ranking import average_precision, lift_at, recall_at, roc_auc


def population(n_customers=400, rows_each=5, seed=0):
    rng = np.random.default_rng(seed)
    risk = rng.beta(1, 6, n_customers)
    customer = np.repeat(np.arange(n_customers), rows_each)
    y = (rng.random(n_customers) < risk).astype(float)[customer]  # a customer's rows agree
    p = np.clip(risk[customer] + rng.normal(0, 0.05, len(customer)), 0.001, 0.999)
    return y, p, customer


def test_values_are_the_plain_metrics():
    y, p, customer = population()
    result = evaluate(y, p, customer, replicates=0)
    assert result["roc_auc"].value == pytest.approx(roc_auc(y, p))
    assert result["average_precision"].value == pytest.approx(average_precision(y, p))
    assert result["log_loss"].value == pytest.approx(log_loss(y, p))
    assert result["brier"].value == pytest.approx(brier(y, p).score)
    assert result["lift_at_10"].value == pytest.approx(lift_at(y, p, 0.1))
    assert result["recall_at_10"].value == pytest.approx(recall_at(y, p, 0.1))
    assert (result.n, result.positives) == (len(y), int(y.sum()))
    assert np.isnan(result["roc_auc"].low)


def test_the_interval_is_of_the_draws_and_moved_by_twice_their_bias():
    y, p, customer = population(60)
    repeated = [np.repeat(np.arange(len(y)), c[customer].astype(int)) for c in replicate_counts(60, 39, seed=3)]
    draws = np.array([average_precision(y[rows], p[rows]) for rows in repeated])
    found = evaluate(y, p, customer, metrics=["average_precision"], replicates=39, seed=3)["average_precision"]
    bias = draws.mean() - found.value
    assert bias > 0.001
    # of 39 draws, the smallest is passed with probability 1 / 40
    assert (found.low, found.high) == pytest.approx((draws.min() - 2 * bias, draws.max() - 2 * bias))


def test_the_interval_of_an_error_holds_it_and_is_not_below_zero():
    y, p, customer = population(100)
    error = evaluate(y, p, customer, metrics=["calibration_error"], replicates=100)["calibration_error"]
    assert 0 <= error.low <= error.value <= error.high
    perfect = evaluate(np.r_[y, 1], np.r_[y * 0.5 + 0.2, 0.7], metrics=["roc_auc"], replicates=50)["roc_auc"]
    assert (perfect.value, perfect.high) == (1, 1)


def test_intervals_hold_the_value_and_are_wider_than_if_rows_were_independent():
    y, p, customer = population()
    clustered, rows = evaluate(y, p, customer), evaluate(y, p)
    for name in clustered.metrics:
        assert clustered[name].low <= clustered[name].value <= clustered[name].high
    width = clustered["log_loss"].high - clustered["log_loss"].low
    assert width > 1.7 * (rows["log_loss"].high - rows["log_loss"].low)


def test_coverage_of_the_mean_loss_is_near_its_claim():
    truth = np.mean([log_loss(*population(2000, 3, seed=s)[:2]) for s in range(100, 130)])
    inside = 0
    for seed in range(60):
        y, p, customer = population(150, 3, seed=seed)
        metric = evaluate(y, p, customer, metrics=["log_loss"], replicates=200)["log_loss"]
        inside += metric.low <= truth <= metric.high
    assert inside >= 51  # 0.95 of 60 is 57; a binomial this low has probability 0.01


def test_the_same_seed_gives_the_same_interval_whatever_the_clusters_are_called():
    y, p, customer = population(100)
    names = np.array([f"customer {c:04d}" for c in customer])
    assert evaluate(y, p, customer, seed=1) == evaluate(y, p, names, seed=1)
    assert evaluate(y, p, customer, seed=1) != evaluate(y, p, customer, seed=2)


@pytest.mark.parametrize("metric", ["log_loss", "brier", "roc_auc"])
def test_the_paired_difference_is_tighter_than_the_two_intervals(metric):
    y, p, customer = population()
    worse = np.clip(p + np.random.default_rng(1).normal(0, 0.05, len(p)), 0.001, 0.999)
    gap = paired_difference(y, p, worse, customer, metric=metric)
    single = evaluate(y, p, customer)[metric]
    assert gap.low <= gap.lower <= gap.value <= gap.upper <= gap.high
    assert gap.high - gap.low < single.high - single.low
    assert gap.value == pytest.approx(
        single.value - evaluate(y, worse, customer, replicates=0)[metric].value, abs=1e-12
    )


def test_the_short_way_for_row_losses_is_the_long_way():
    y, p, customer = population(80)
    other = np.sqrt(p)
    counts = next(iter(replicate_counts(80, 1, seed=0)))[customer]
    long = log_loss(y, p, counts) - log_loss(y, other, counts)
    gap = paired_difference(y, p, other, customer, replicates=1)
    assert gap.low == gap.high == pytest.approx(2 * gap.value - long)  # one draw, and its bias


def test_a_model_does_not_differ_from_itself():
    y, p, customer = population(50)
    gap = paired_difference(y, p, p, customer, metric="average_precision")
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)


def test_json_round_trip_with_undefined_values():
    result = evaluate([1, 1, 1], [0.2, 0.3, 0.4], replicates=5)
    text = json.dumps(result.to_json(), allow_nan=False)
    again = Evaluation.from_json(json.loads(text))
    assert again.to_json() == result.to_json()
    assert np.isnan(again["roc_auc"].value)


def test_profit_is_measured_where_there_is_a_campaign_and_asked_for_in_vain_without():
    y, p, customer = population(200)
    n = len(y)
    campaign = Campaign(np.full(n, 90.0), np.array([5.0]), np.array([0.3]), np.ones((n, 1), bool), 0.7)
    result = evaluate(y, p, customer, campaign=campaign, replicates=100)
    assert result["profit"].value == pytest.approx(campaign_profit(y, p, campaign))
    assert result["profit"].low < result["profit"].value < result["profit"].high
    assert "profit" not in evaluate(y, p, replicates=0).metrics
    gap = paired_difference(y, p, 1 - p, customer, metric="profit", campaign=campaign, replicates=100)
    assert gap.value == pytest.approx(campaign_profit(y, p, campaign) - campaign_profit(y, 1 - p, campaign))
    assert gap.low < gap.value < gap.high
    for ask in (lambda: evaluate(y, p, metrics=["profit"]), lambda: paired_difference(y, p, p, metric="profit")):
        with pytest.raises(UsageError, match="needs a campaign"):
            ask()


def test_a_bound_is_passed_with_its_probability_also_for_few_draws():
    # 19 draws: the smallest is passed by a twentieth with probability 1 / 20
    y, p, customer = population(50)
    gap = paired_difference(y, p, np.sqrt(p), customer, replicates=19, confidence=0.95)
    sums = [log_loss(y, p, c[customer]) - log_loss(y, np.sqrt(p), c[customer]) for c in replicate_counts(50, 19, 0)]
    bias = np.mean(sums) - gap.value
    assert (gap.lower, gap.upper) == pytest.approx((min(sums) - 2 * bias, max(sums) - 2 * bias))


def test_wrong_words_and_shapes_are_refused():
    with pytest.raises(UsageError, match="did you mean 'log_loss'"):
        evaluate([0, 1], [0.1, 0.2], metrics=["logloss"])
    with pytest.raises(DataError, match="clusters have shape"):
        evaluate([0, 1], [0.1, 0.2], [1])
