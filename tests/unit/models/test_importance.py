"""Global importance: sizes by hand, intervals that cover, and effects that read as the values do."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.errors import DataError
from holdfast.models.dependence import MIN_BAND_ROWS, effect
from holdfast.models.importance import even_sample, global_importance, importance_of

SCHEMA = FeatureSchema(
    (
        FeatureSpec("u3", "number", "usage", "usage, last 3 months"),
        FeatureSpec("u12", "number", "usage", "usage, last 12 months"),
        FeatureSpec("plan", "category", "plan", "plan"),
    )
)


def rows(n, rng):
    return pa.table(
        {
            "u3": pa.array(rng.normal(size=n).astype(np.float32)),
            "u12": pa.array(rng.normal(size=n).astype(np.float32)),
            "plan": pa.array(rng.choice(["a", "b"], n)),
        }
    )


def test_windows_that_cancel_out_are_a_small_measure_and_shares_are_of_the_whole():
    parts = np.array([[1.0, -0.5, 0.25], [-1.0, 0.5, 0.25], [1.0, -1.0, -1.0], [0.0, 0.0, 0.5]])
    table = rows(4, np.random.default_rng(0))
    found = importance_of(parts, SCHEMA, table, np.arange(4), replicates=20, seed=0)
    assert [(m.name, m.label, m.mean_abs.value) for m in found.measures] == [
        ("plan", "plan", 0.5),
        ("usage", "usage", 0.25),
    ]
    assert [(f.name, f.mean_abs.value, f.share.value) for f in found.features] == [
        ("u3", 0.75, 0.75 / 1.75),
        ("plan", 0.5, 0.5 / 1.75),
        ("u12", 0.5, 0.5 / 1.75),
    ]
    assert found.to_json()["measures"][0] | {"low": None, "high": None, "mean_abs": None} == {
        "measure": "plan", "label": "plan", "share": 0.666667, "low": None, "high": None, "mean_abs": None,
    }  # fmt: skip


def test_intervals_cover_the_truth_when_a_customers_rows_are_alike():
    """200 companies of 60 customers with up to 8 like rows each: rows drawn one by one would cover half as often."""
    rng = np.random.default_rng(1)
    truth = np.sqrt(2 / np.pi) * np.array([1.0, 0.5])  # E|N(0, s)|
    covered = np.zeros(2)
    for seed in range(200):
        customers = np.repeat(np.arange(60), rng.integers(1, 9, 60))
        own = rng.normal(size=(60, 2)) * [1.0, 0.5]
        parts = np.column_stack([own[customers, 0], np.zeros(len(customers)), own[customers, 1]])
        found = importance_of(parts, SCHEMA, rows(len(customers), rng), customers, replicates=100, seed=seed)
        sizes = {m.name: m.mean_abs for m in found.measures}
        for k, name in enumerate(("usage", "plan")):
            covered[k] += sizes[name].low <= truth[k] <= sizes[name].high
    assert np.all((covered >= 0.88 * 200) & (covered <= 0.98 * 200)), covered


def test_a_bundle_has_the_same_importance_twice_as_json(bundle, tools):
    table = tools.table(400)
    first, second = (global_importance(bundle, table, np.arange(400) // 4, replicates=50, seed=3) for _ in range(2))
    assert json.dumps(first.to_json(), allow_nan=False) == json.dumps(second.to_json(), allow_nan=False)
    assert (first.rows, first.customers) == (400, 100)
    assert sum(m.share.value for m in first.measures) == pytest.approx(1)
    assert all(s.share.low <= s.share.value <= s.share.high for s in first.measures + first.features)
    effects = {e.feature: e for e in first.effects}
    assert effects["usage_3m"].direction < -0.8  # as the made-up labels have it
    assert effects["tickets_3m"].direction > 0.8
    assert effects["plan"].direction is None
    assert [b.value for b in effects["plan"].dependence][-1] is None
    assert sum(b.n for b in effects["usage_12m"].swarm) == 400


def test_an_effect_is_correlation_bands_and_beads():
    rng = np.random.default_rng(2)
    values = np.round(rng.normal(size=500), 1).astype(np.float32)
    values[:50] = np.nan
    parts = np.where(np.isnan(values), 0.5, -np.nan_to_num(values) + rng.normal(0, 0.3, 500))
    found = effect(SCHEMA.features[0], pa.chunked_array([pa.array(values)]), parts)
    known = ~np.isnan(values)
    assert found.direction == pytest.approx(spearmanr(values[known], parts[known]).statistic)
    *bands, unknown = found.dependence
    assert [b.value for b in bands] == sorted(b.value for b in bands)
    assert sum(b.n for b in bands) == 450
    assert (unknown.value, unknown.n, unknown.median) == (None, 50, 0.5)
    assert all(b.low <= b.median <= b.high and b.n >= MIN_BAND_ROWS for b in found.dependence)
    assert sum(b.n for b in found.swarm) == 500
    ranks = [b.value_rank for b in found.swarm if b.value_rank is not None]
    assert ranks[0] > 0.9  # low contributions belong to high values
    assert ranks[-1] < 0.1


def test_few_people_are_not_described_and_a_constant_has_no_direction():
    column = pa.chunked_array([pa.array(["big"] * 30 + ["rare"] * (MIN_BAND_ROWS - 1))])
    found = effect(SCHEMA.features[2], column, np.zeros(39))
    assert [b.value for b in found.dependence] == ["big"]
    constant = pa.chunked_array([pa.array(np.ones(39, np.float32))])
    found = effect(SCHEMA.features[0], constant, np.zeros(39))
    assert found.direction is None
    assert [(b.value, b.n) for b in found.dependence] == [(1.0, 39)]


def test_a_sample_is_even_and_rows_that_do_not_fit_are_refused():
    assert even_sample(np.arange(5), 9).tolist() == [0, 1, 2, 3, 4]
    assert even_sample(np.arange(100, 200), 4).tolist() == [100, 133, 166, 199]
    table = rows(3, np.random.default_rng(0))
    with pytest.raises(DataError, match="importance"):
        importance_of(np.zeros((3, 3)), SCHEMA, table, np.arange(2), replicates=10, seed=0)
    with pytest.raises(DataError, match="0 rows"):
        importance_of(np.zeros((0, 3)), SCHEMA, table[:0], np.arange(0), replicates=10, seed=0)
