"""Slices are bounded, large enough, and each is measured as if alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from holdfast.errors import DataError
from holdfast.evaluation.ranking import roc_auc
from holdfast.evaluation.slices import UNKNOWN, by_slice


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    p = rng.beta(1, 4, 3000)
    return (rng.random(3000) < p).astype(float), p, rng.choice(["a", "b", None, "rare"], 3000, p=[0.5, 0.3, 0.17, 0.03])


def test_each_value_is_measured_alone_largest_first(rows):
    y, p, plan = rows
    found = by_slice(y, p, "plan", plan)
    assert [s.value for s in found.slices] == ["a", "b", UNKNOWN]
    at = plan == "a"
    assert found.slices[0].metrics["roc_auc"].value == pytest.approx(roc_auc(y[at], p[at]))
    assert found.slices[0].mean_p == pytest.approx(p[at].mean())
    assert (found.rows_left_out, found.values_left_out) == (int((plan == "rare").sum()), 1)
    assert found.spread("roc_auc") >= 0
    json.dumps(found.to_json(), allow_nan=False)


def test_the_number_of_slices_is_bounded(rows):
    y, p, plan = rows
    found = by_slice(y, p, "plan", plan, max_slices=1, clusters=np.arange(3000), replicates=20)
    assert [s.value for s in found.slices] == ["a"]
    assert found.slices[0].metrics["log_loss"].low < found.slices[0].metrics["log_loss"].high
    assert np.isnan(found.spread("roc_auc"))


def test_numbers_are_cut_into_bins_of_equal_mass(rows):
    y, p, _ = rows
    tenure = np.random.default_rng(0).exponential(10, 3000)
    tenure[:300] = np.nan
    found = by_slice(y, p, "tenure", tenure, min_rows=1, min_positives=0)
    assert len(found.slices) == 5
    assert {s.n for s in found.slices if s.value != UNKNOWN} <= set(range(670, 680))
    few = by_slice(y, p, "lines", np.arange(3000) % 3)
    assert sorted(s.value for s in few.slices) == ["0", "1", "2"]


def test_a_column_without_values_is_one_slice_and_a_short_one_is_refused(rows):
    y, p, _ = rows
    assert [s.value for s in by_slice(y, p, "x", np.full(3000, np.nan)).slices] == [UNKNOWN]
    with pytest.raises(DataError, match="cannot be sliced"):
        by_slice(y, p, "x", ["a"])
