"""Ranking metrics agree with scikit-learn and with brute force, ties and weights included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from holdfast.errors import DataError
from holdfast.evaluation.ranking import average_precision, base_rate, lift_at, recall_at, roc_auc

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 3)), min_size=2, max_size=60)


def arrays(drawn):
    y, p, w = (np.array(v, dtype=float) for v in zip(*drawn, strict=True))
    return y, p / 7, w


@settings(max_examples=200, deadline=None)
@given(rows)
def test_agrees_with_scikit_learn_on_ties_and_weights(drawn):
    y, p, w = arrays(drawn)
    if (w * y).sum() == 0 or (w * (1 - y)).sum() == 0:
        return
    assert roc_auc(y, p, w) == pytest.approx(roc_auc_score(y, p, sample_weight=w), abs=1e-12)
    assert average_precision(y, p, w) == pytest.approx(average_precision_score(y, p, sample_weight=w), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(rows, st.floats(0.01, 1.0))
def test_recall_is_the_expectation_over_random_orders_of_ties(drawn, share):
    y, p, _ = arrays(drawn)
    if y.sum() == 0:
        return
    depth, taken, found = share * len(y), 0.0, 0.0
    for score in np.unique(p)[::-1]:
        at = p == score
        part = min(1.0, max(0.0, (depth - taken) / at.sum()))
        found += part * y[at].sum()
        taken += at.sum()
    assert recall_at(y, p, share) == pytest.approx(found / y.sum(), abs=1e-9)
    assert lift_at(y, p, share) == pytest.approx(found / y.sum() / share, abs=1e-7)


def test_a_perfect_a_reversed_and_a_constant_ranking():
    y = np.array([0, 0, 1, 1])
    assert roc_auc(y, [1, 2, 3, 4]) == 1
    assert roc_auc(y, [4, 3, 2, 1]) == 0
    assert roc_auc(y, [1, 1, 1, 1]) == 0.5
    assert average_precision(y, [1, 1, 1, 1]) == base_rate(y) == 0.5
    assert lift_at(y, [1, 1, 1, 1], 0.1) == pytest.approx(1)


def test_one_class_is_undefined_not_an_error():
    assert np.isnan(roc_auc([1, 1], [0.1, 0.2]))
    assert np.isnan(average_precision([0, 0], [0.1, 0.2]))
    assert np.isnan(recall_at([0, 0], [0.1, 0.2], 0.5))


@pytest.mark.parametrize(
    ("y", "p", "said"),
    [
        ([0, 1], [0.1], "shapes differ"),
        ([], [], "no rows"),
        ([0, 2], [0.1, 0.2], "neither 0 nor 1"),
        ([0, 1], [0.1, np.nan], "not finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(y, p, said):
    with pytest.raises(DataError, match=said):
        roc_auc(y, p)
