"""The scorecard: quintiles, weights of evidence by hand, slopes never negative, and a file that is the table."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, logit

from holdfast.errors import StoreError
from holdfast.models.rfm import RFM, RFMModel


@pytest.fixture
def customers():
    rng = np.random.default_rng(0)
    recency, orders, plan = rng.uniform(0, 100, 2000), rng.poisson(2, 2000), rng.integers(0, 4, 2000)
    y = (rng.random(2000) < expit(-1 + recency / 40 - orders / 2 + (plan == 2))).astype(float)
    x = np.column_stack([recency, orders, plan]).astype(np.float32)
    x[::11, 0] = np.nan
    return x, y


def test_one_column_gives_the_smoothed_log_odds_of_its_fifths(customers):
    x, y = customers
    model = RFM(smoothing=10).fit(x[:, :1], y, seed=0)
    (column,) = model.columns
    seen = np.isfinite(x[:, 0])
    share = np.mean(x[seen, 0][:, None] <= column.edges, axis=0)
    np.testing.assert_allclose(share, [0.2, 0.4, 0.6, 0.8], atol=0.002)
    rate = y.mean()
    by_bin = []
    for k in range(5):
        low, high = np.concatenate([[-np.inf], column.edges, [np.inf]])[k : k + 2]
        mine = seen & (x[:, 0] > low) & (x[:, 0] <= high)
        by_bin.append(logit((y[mine].sum() + 10 * rate) / (mine.sum() + 10)))
    steps = np.diff(column.points) / np.diff(by_bin)  # the slope: about 1 for a single column
    np.testing.assert_allclose(steps, steps[0])
    assert 0.9 < steps[0] < 1.1
    assert (np.diff(column.points) > 0).all()


def test_the_points_are_the_contributions_and_the_base_is_the_mean(customers):
    x, y = customers
    model = RFM().fit(x, y, seed=0, categorical=[2])
    parts = model.contributions(x)
    np.testing.assert_allclose(parts.sum(axis=1), model.margin(x), atol=1e-12)
    np.testing.assert_allclose(parts[:, :-1].mean(axis=0), 0, atol=1e-9)
    body = json.loads(model.dump())
    assert [len(c["points"]) for c in body["columns"]] == [5, len(body["columns"][1]["edges"]) + 1, 4]
    assert max(body["columns"][2]["points"]) == body["columns"][2]["points"][2]


def test_what_two_columns_say_alike_counts_once(customers):
    x, y = customers
    once = RFM().fit(x[:, :1], y, seed=0)
    twice = RFM().fit(x[:, [0, 0]], y, seed=0)
    np.testing.assert_allclose(twice.margin(x[:, [0, 0]]), once.margin(x[:, :1]), atol=0.02)


def test_bins_in_the_wrong_order_are_pooled(customers):
    x, y = customers
    for direction in (1, -1):
        points = RFM().fit(x, y, seed=0, monotone=[direction, 0, 0]).columns[0].points
        assert (direction * np.diff(points) >= -1e-12).all()
    assert len(set(points.round(9))) == 1  # against the truth nothing is left to say


def test_ties_make_fewer_bins_and_extremes_stay_in_the_outer_ones(customers):
    _, y = customers
    x = np.where(np.arange(2000) % 10 < 9, 0, 1).astype(np.float32)[:, None]
    model = RFM().fit(x, y, seed=0)
    assert model.columns[0].edges.tolist() == [0.0]
    far = np.array([[-1e30], [1e30]], dtype=np.float32)
    np.testing.assert_array_equal(model.margin(far), model.margin(np.array([[0], [1]], dtype=np.float32)))


def test_settings_at_their_ends_still_fit(customers):
    x, y = customers
    for made in (RFM(bins=0), RFM(bins=1), RFM(smoothing=0), RFM(bins=5000, smoothing=0)):
        assert np.isfinite(made.fit(x, y, seed=0, categorical=[2]).margin(x)).all()


def test_a_file_whose_bins_lack_points_is_refused(customers):
    x, y = customers
    body = json.loads(RFM().fit(x, y, seed=0).dump())
    body["columns"][0]["points"].pop()
    with pytest.raises(StoreError, match="RFM scorecard"):
        RFMModel.from_bytes(json.dumps(body).encode())
