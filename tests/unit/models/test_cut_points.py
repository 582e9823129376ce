"""Cut points are values that occur, at the ranks that were asked for, and reach XGBoost as they are."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given
from hypothesis import strategies as st

from holdfast.models.cut_points import cut_points
from holdfast.models.xgboost_model import XGBoost

COLUMN = st.lists(st.one_of(st.just(np.nan), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=60)


@given(columns=st.lists(COLUMN, min_size=1, max_size=11), most=st.integers(2, 40), threads=st.integers(1, 3))
def test_as_a_slow_count_finds_them(columns, most, threads):
    n = min(len(c) for c in columns)
    x = np.array([c[:n] for c in columns], dtype=np.float32).T
    found = cut_points(x, most, threads=threads)
    assert found.shape[0] <= most
    for k in range(x.shape[1]):
        known = sorted(float(v) for v in x[:, k] if v == v)
        expected = sorted(set(known))
        if len(expected) > most:
            expected = sorted({known[i * (len(known) - 1) // (most - 1)] for i in range(most)})
        cuts = found[:, k]
        assert cuts[: len(expected)].tolist() == expected
        assert np.isnan(cuts[len(expected) :]).all()


@pytest.mark.parametrize("max_bin", [2, 7, 64, 256, 1000])
def test_xgboost_takes_every_one_of_them(max_bin):
    x = np.random.default_rng(3).normal(size=(5_000, 3)).astype(np.float32)
    cuts = cut_points(x, max_bin)
    at, values = xgb.QuantileDMatrix(cuts, max_bin=max_bin).get_quantile_cut()
    for k in range(x.shape[1]):
        own = values[int(at[k]) : int(at[k + 1])]
        assert np.isin(cuts[1:, k], own).all()  # nothing lies below the least value, so that is no place to split


def test_where_values_are_few_the_model_is_the_librarys_own():
    rng = np.random.default_rng(4)
    x = rng.integers(0, 200, size=(4_000, 6)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    y = (rng.random(len(x)) < 1 / (1 + np.exp(2 - x[:, 0] / 50))).astype(float)
    y[np.isnan(x[:, 0])] = 0
    ours = XGBoost(rounds=20).fit(x, y, seed=5, threads=2)
    s = XGBoost(rounds=20)
    params = {
        "objective": "binary:logistic", "tree_method": "hist", "eta": s.learning_rate, "max_depth": s.depth,
        "min_child_weight": s.min_child_weight, "gamma": s.min_gain, "subsample": s.subsample,
        "colsample_bytree": s.colsample, "alpha": s.l1, "lambda": s.l2, "max_bin": s.max_bin, "seed": 5,
    }  # fmt: skip
    library = xgb.train(params, xgb.QuantileDMatrix(x, y, max_bin=s.max_bin), s.rounds)
    assert np.array_equal(ours.margin(x), library.inplace_predict(x, predict_type="margin").astype(float))


def test_the_matrix_stays_the_callers():
    x = np.random.default_rng(6).normal(size=(500, 3)).astype(np.float32)
    before = x.copy()
    XGBoost(rounds=2).fit(x, (x[:, 0] > 0).astype(float), seed=1)
    cut_points(x, 16)
    assert np.array_equal(x, before)
