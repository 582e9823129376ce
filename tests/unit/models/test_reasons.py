"""Reasons: grouped, ordered, bounded, and the same as a slow reading of the definition."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.errors import DataError, HoldfastError
from holdfast.models.explain import NONE, explained, groups_of, members_of, rank_reasons, reasons, row_reasons

SCHEMA = FeatureSchema(
    (
        FeatureSpec("u3", "number", "usage", "usage, 3 months"),
        FeatureSpec("plan", "category", "plan", "plan"),
        FeatureSpec("u12", "number", "usage", "usage, 12 months"),
        FeatureSpec("age", "number", "age", "age"),
    )
)
ROWS = pa.table(
    {
        "u3": pa.array([0.1, None, 3.0], pa.float32()),
        "plan": ["basic", None, "pro"],
        "u12": pa.array([1.0, 2.0, 3.0], pa.float32()),
        "age": pa.array([50.0, 51.0, 52.0], pa.float32()),
    }
)
TYPICAL = {"u3": 2.0, "plan": "pro", "u12": 8.0, "age": None}


def slow(row, top, sign):
    """The definition, one row at a time."""
    sums = {g: sum(sign * v for v, f in zip(row, SCHEMA, strict=True) if f.group == g) for g in groups_of(SCHEMA)}
    order = sorted((g for g in sums if sums[g] > 0), key=lambda g: (-sums[g], groups_of(SCHEMA).index(g)))
    out = []
    for g in order[:top]:
        members = [(i, sign * row[i]) for i, f in enumerate(SCHEMA) if f.group == g]
        out.append((g, SCHEMA.features[max(members, key=lambda m: (m[1], -m[0]))[0]].name))
    return out


def test_windows_of_a_measure_are_one_reason_named_by_the_strongest():
    parts = np.array([[0.5, 0.6, 0.2, -1.0], [-0.1, 0.0, 0.4, 0.1], [-1.0, -1.0, -1.0, -1.0]])
    found = reasons(parts, SCHEMA, ROWS, TYPICAL)
    assert [[(r.group, r.feature) for r in row] for row in found] == [
        [("usage", "u3"), ("plan", "plan")],
        [("usage", "u12"), ("age", "age")],
        [],
    ]
    first = found[0][0]
    assert (first.value, first.typical, first.direction, first.label) == (0.1, 2.0, "raises", "usage, 3 months")
    assert first.contribution == pytest.approx(0.7)


def test_reasons_to_stay_and_unknown_values():
    found = reasons(-np.array([[0.0, 0, 0, 0], [0.9, 0.5, 0, 0], [0, 0, 0, 0]]), SCHEMA, ROWS, TYPICAL, 3, "lowers")
    assert [(r.feature, r.value, r.direction, r.contribution) for r in found[1]] == [
        ("u3", None, "lowers", -0.9),
        ("plan", None, "lowers", -0.5),
    ]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=8),
    st.integers(1, 5),
    st.sampled_from(["raises", "lowers"]),
)
def test_ranking_is_the_slow_definition_ties_included(parts, top, direction):
    ranked = rank_reasons(np.array(parts, dtype=float), SCHEMA, top=top, direction=direction)
    names, features = groups_of(SCHEMA), SCHEMA.names
    for row, groups, picked in zip(parts, ranked.group, ranked.feature, strict=True):
        found = [(names[g], features[i]) for g, i in zip(groups, picked, strict=True) if g != NONE]
        assert found == slow(row, top, 1 if direction == "raises" else -1)
        assert np.all(groups[len(found) :] == NONE)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=4, max_size=4), st.integers(1, 5), st.sampled_from(["raises", "lowers"]))
def test_a_row_alone_is_ranked_as_among_many(parts, top, direction):
    ranked = rank_reasons(np.array([parts], dtype=float), SCHEMA, top=top, direction=direction)
    many = [
        (i, part)
        for i, part in zip(ranked.feature[0].tolist(), ranked.contribution[0].tolist(), strict=True)
        if i != NONE
    ]
    assert row_reasons([float(p) for p in parts], members_of(SCHEMA), top, direction) == many


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"not \(3, 4\)"):
        reasons(np.zeros((2, 4)), SCHEMA, ROWS, TYPICAL)


def test_contributions_that_do_not_add_up_are_an_error(bundle, tools, monkeypatch):
    x = bundle.encoder.transform(tools.table(20))
    monkeypatch.setattr(type(bundle.model), "contributions", lambda self, x: self.native_contributions(x) + 0.01)
    with pytest.raises(HoldfastError, match="do not add up: 20 of 20"):
        explained(bundle.model, x)


def test_a_large_batch_is_quick():
    rng = np.random.default_rng(0)
    schema = FeatureSchema(tuple(FeatureSpec(f"f{i}", "number", f"g{i // 3}", "") for i in range(60)))
    ranked = rank_reasons(rng.normal(size=(100_000, 60)), schema)
    assert ranked.group.shape == (100_000, 3)
    assert np.all(np.diff(ranked.contribution, axis=1) <= 0)
