"""Rows that come alone: the library's margins to the last bit, and its contributions."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from holdfast.models.one_row import OneRow
from holdfast.models.registry import make_estimator

DEEP = {"xgboost": {"min_child_weight": 0.01}, "lightgbm": {"min_rows": 1, "leaves": 200}}


@pytest.fixture(scope="module", params=["xgboost", "lightgbm"])
def both(request, tools):
    """A bundle, and the same prepared for single rows."""
    plain, prepared = tools.bundle(request.param), tools.bundle(request.param)
    prepared.model.prepare_for_single_rows()
    return plain, prepared


@pytest.fixture
def x(both, tools):
    """Rows with gaps, levels that were never seen, and values far from any that were."""
    rows = both[0].encoder.transform(tools.table(400, seed=8))
    rng = np.random.default_rng(9)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    rows[:20] *= np.float32(1e30)
    for k in both[0].encoder.categorical:
        rows[:40, k] = np.arange(40) % 9
    return rows


def alone(answer, x):
    return np.concatenate([answer(row) for row in x[:, None]])


def test_margins_are_the_librarys_to_the_last_bit(both, x):
    plain, prepared = both
    assert prepared.model.quick_alone
    assert not plain.model.quick_alone
    assert np.array_equal(alone(prepared.model.margin, x), plain.model.margin(x))
    assert np.array_equal(prepared.model.margin(x), plain.model.margin(x))


def test_contributions_are_the_librarys(both, x):
    plain, prepared = both
    found, native = alone(prepared.model.contributions, x), plain.model.native_contributions(x)
    assert np.abs(found - native).max() < 1e-5
    assert np.array_equal(found[:, -1], native[:, -1])


def test_margins_are_the_librarys_at_every_threshold(both):
    plain, prepared = both
    x = np.concatenate([prepared.model.one_row.probes(), np.nextafter(prepared.model.one_row.probes(), np.inf)])
    assert np.array_equal(alone(prepared.model.margin, x), plain.model.margin(x))
    found = alone(prepared.model.contributions, x)
    assert np.abs(found - plain.model.native_contributions(x)).max() < 1e-5


def test_what_is_nearly_zero_is_read_as_the_library_reads_it(both):
    """LightGBM takes -1e-35 for 0, and has thresholds there."""
    plain, _ = both
    rng = np.random.default_rng(0)
    x = rng.choice([-1, 0, 1], (3000, 2)).astype(np.float32)
    y = ((x[:, 0] == 0) & (rng.random(3000) < 0.8)).astype(float)
    model = make_estimator(plain.model.name, {"rounds": 5}).fit(x, y, seed=1)
    zero = np.float32(1e-35)
    small = [zero, np.nextafter(zero, np.float32(1)), np.nextafter(zero, np.float32(0)), np.float32(0)]
    rows = np.array([[sign * value, 0] for value in small for sign in (-1, 1)], dtype=np.float32)
    margin, native = model.margin(rows), model.native_contributions(rows)
    model.prepare_for_single_rows()
    assert model.quick_alone
    assert np.array_equal(alone(model.margin, rows), margin)
    assert np.abs(alone(model.contributions, rows) - native).max() < 1e-5
    assert np.abs(model.forest().contributions(rows) - native[:, :-1]).max() < 1e-5


def test_trees_too_deep_for_tables_are_left_to_the_library(both, tools):
    plain, _ = both
    table = tools.table(1500)
    x = plain.encoder.transform(table)
    name = plain.model.name
    settings = {"rounds": 2, "depth": 10, **DEEP[name]}
    model = make_estimator(name, settings).fit(x, tools.labels(table), seed=7)
    model.prepare_for_single_rows()
    assert not model.quick_alone
    assert np.array_equal(alone(model.margin, x[:5]), model.margin(x[:5]))


@pytest.mark.parametrize("what", ["margin", "contributions"])
def test_what_answers_otherwise_than_the_library_is_not_used(both, monkeypatch, caplog, what):
    plain, _ = both
    right = getattr(OneRow, what)
    by = 1e-12 if what == "margin" else 1e-3
    monkeypatch.setattr(OneRow, what, lambda self, x: right(self, x) * (1 + by) + by)
    model = type(plain.model).from_bytes(plain.model.dump())
    with caplog.at_level(logging.WARNING):
        model.prepare_for_single_rows()
    assert not model.quick_alone
    assert "left to the library" in caplog.text


def test_trees_that_cannot_be_read_are_left_to_the_library(both, x, monkeypatch, caplog):
    plain, _ = both

    def unreadable(self):
        raise ValueError("a later format")

    monkeypatch.setattr(type(plain.model), "trees", unreadable)
    model = type(plain.model).from_bytes(plain.model.dump())
    with caplog.at_level(logging.WARNING):
        model.prepare_for_single_rows()
    assert "a later format" in caplog.text
    assert np.array_equal(alone(model.contributions, x[:5]), model.native_contributions(x[:5]))


def test_a_row_that_does_not_add_up_is_left_to_the_library(both, x, monkeypatch):
    _, prepared = both
    right = OneRow.contributions
    monkeypatch.setattr(OneRow, "contributions", lambda self, x: right(self, x) + 1)
    found = prepared.model.contributions(x[:1])
    assert np.array_equal(found, prepared.model.native_contributions(x[:1]))


def test_a_model_of_single_leaves_is_its_base(both, tools):
    plain, _ = both
    table = tools.table(100)
    x = plain.encoder.transform(table)
    model = make_estimator(plain.model.name, {"rounds": 3, "min_gain": 1e9}).fit(x, tools.labels(table), seed=1)
    model.prepare_for_single_rows()
    assert np.array_equal(alone(model.margin, x[:3]), model.margin(x[:3]))
    assert not model.contributions(x[:1])[:, :-1].any()
