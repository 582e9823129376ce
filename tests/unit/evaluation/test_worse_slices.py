"""Slices are named when they are materially worse, seldom when they are not, and Holm keeps count of the looks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import false_discovery_control

from holdfast.errors import DataError
from holdfast.evaluation.calibration import log_loss
from holdfast.evaluation.ranking import recall_at
from holdfast.evaluation.worse import CALIBRATION_MARGIN, RECALL_MARGIN, holm, worse_in_slices, worse_slices

GROUPS = np.array(["a", "b", "c", "d"])


def company(seed=0, customers=4000, months=3):
    """Labels from the truth, by customer; two columns of four values each that have nothing to do with it."""
    rng = np.random.default_rng(seed)
    margin = np.repeat(rng.normal(-2.5, 1.0, customers), months)
    who = np.repeat(np.arange(customers), months)
    y = (rng.random(len(who)) < expit(margin)).astype(float)
    columns = {name: GROUPS[rng.integers(0, 4, customers)][who] for name in ("region", "plan")}
    return y, expit(margin), columns, who


def test_a_slice_with_a_wrong_level_is_named_with_how_much():
    y, p, columns, who = company()
    wrong = np.where(columns["plan"] == "b", expit(logit(p) - 0.9), p)
    found = worse_slices(y, wrong, columns, who)
    assert {(w.column, w.value) for w in found} == {("plan", "b")}
    assert found[0].metric == "observed_expected"  # and its churners are now found less often, which is named too
    at = columns["plan"] == "b"
    assert found[0].found == pytest.approx(y[at].sum() / wrong[at].sum())
    assert found[0].found > 1 + CALIBRATION_MARGIN
    assert (found[0].against, found[0].n, found[0].positives) == (1.0, int(at.sum()), int(y[at].sum()))
    assert "plan = b: observed_expected is " in str(found[0])
    json.dumps([w.to_json() for w in found], allow_nan=False)
    too_high = np.where(at, expit(logit(p) + 0.9), p)
    assert [w.value for w in worse_slices(y, too_high, columns, who) if w.found < 1] == ["b"]


def test_a_slice_whose_churners_are_not_found_is_named():
    y, p, columns, who = company()
    at = columns["region"] == "c"
    level = y[at].mean()
    blind = np.where(at, level + 1e-9 * np.arange(len(p)), p)  # right on average, and knows nothing
    found = worse_slices(y, blind, columns, who)
    assert [(w.column, w.value, w.metric) for w in found] == [("region", "c", "recall_at_10")]
    assert found[0].against == pytest.approx(recall_at(y, blind, 0.1))
    assert found[0].found < found[0].against - RECALL_MARGIN


def test_a_slice_without_any_churner_is_named_where_many_were_expected():
    y, p, columns, who = company()
    at = columns["plan"] == "d"
    found = worse_slices(np.where(at, 0.0, y), p, columns, who)
    assert [(w.value, w.found) for w in found if w.metric == "observed_expected"] == [("d", 0.0)]


def test_slices_at_the_margin_itself_are_seldom_named():
    # the hardest case that must not be named: every slice exactly at the margin, 8 slices and 16 tests at once
    named = 0
    for seed in range(150):
        y, p, columns, who = company(seed, customers=1200, months=2)
        named += bool(worse_slices(y, p / (1 + CALIBRATION_MARGIN), columns, who))
    assert named <= 15  # at most 5% of 150 are expected; more than 15 has probability 0.003


def test_one_customer_s_rows_are_no_proof():
    y, p, columns, _ = company(1)
    rows = np.concatenate([np.arange(len(y)), np.repeat(np.flatnonzero((columns["plan"] == "a") & (y == 1))[:1], 300)])
    y, p, columns = y[rows], p[rows], {name: values[rows] for name, values in columns.items()}
    assert worse_slices(y, p, columns, rows) == []
    assert worse_slices(y, p, columns) != []  # as if each row were another customer's


def test_rows_small_slices_and_missing_churners():
    y, p, columns, who = company(customers=50)
    assert worse_slices(y, p, columns, who) == []
    assert worse_in_slices(y, p, p, columns, who) == []
    assert worse_slices(np.zeros(300), np.full(300, 1e-4), {"x": ["a"] * 300}) == []
    with pytest.raises(DataError, match="x has shape"):
        worse_slices(y, p, {"x": ["a"]})


@pytest.mark.parametrize("replicates", [100, 2000])  # by the normal tail, and by the share of replicates
def test_a_challenger_that_loses_a_slice_is_told_which(replicates):
    y, p, columns, who = company(customers=1500)
    del columns["region"]  # every region holds some of plan b
    at = columns["plan"] == "b"
    spoilt = np.where(at, p.mean(), p)
    found = worse_in_slices(y, spoilt, p, columns, who, confidence=0.95, replicates=replicates, seed=1)
    assert [(w.column, w.value, w.metric) for w in found] == [("plan", "b", "log_loss")]
    assert found[0].found == pytest.approx(log_loss(y[at], spoilt[at]))
    assert found[0].against == pytest.approx(log_loss(y[at], p[at]))
    assert found[0].p_value <= 0.05
    assert worse_in_slices(y, p, spoilt, columns, who, replicates=replicates) == []
    assert worse_in_slices(y, p, p, columns, who, replicates=replicates) == []


def test_a_challenger_that_is_as_good_everywhere_is_seldom_refused():
    named = 0
    for seed in range(60):
        y, p, columns, who = company(seed, customers=600, months=2)
        noise = np.random.default_rng(seed + 1000).normal(0, 0.3, (2, len(y)))
        one, other = expit(logit(p) + noise)  # two models that are equally wrong
        named += bool(worse_in_slices(y, one, other, columns, who, replicates=100, seed=seed))
    assert named <= 8  # 5% of 60 are expected; more than 8 has probability 0.003


def test_holm_is_between_no_correction_and_bonferroni():
    p = np.random.default_rng(0).random(20) ** 3
    adjusted = holm(p)
    assert np.all(adjusted >= false_discovery_control(p))
    assert np.all((adjusted >= p) & (adjusted <= np.minimum(20 * p, 1)))
    assert np.all(np.diff(adjusted[np.argsort(p)]) >= 0)
    assert adjusted.min() == pytest.approx(20 * p.min())
    assert holm([]).tolist() == []
