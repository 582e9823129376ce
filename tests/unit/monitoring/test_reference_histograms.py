"""Reference histograms: bins that fit the data, and counts that add up."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.artifacts.files import canonical_json
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.errors import DataError
from holdfast.monitoring.reference import (
    MAX_CATEGORIES,
    bin_names,
    category_reference,
    compute_counts,
    number_reference,
    reference_counts,
    reference_histograms,
)

values = st.lists(st.none() | st.floats(allow_nan=True, width=32) | st.integers(0, 3).map(float), max_size=60)


@given(values, st.integers(2, 12))
def test_counting_the_reference_again_gives_the_reference(rows: list[float | None], bins: int) -> None:
    column = pa.chunked_array([pa.array(rows, pa.float32())])
    reference = number_reference(np.array([np.nan if v is None else v for v in rows], dtype=np.float64), bins)
    reference = json.loads(canonical_json(reference))  # through the file: edges come back to the bit
    counts, nulls = compute_counts(column, reference)
    assert counts.tolist() == reference["counts"] == reference_counts(reference).tolist()
    assert counts.sum() + nulls == len(rows)
    assert len(bin_names(reference)) == len(counts)
    assert len(counts) <= max(bins, 3)


@given(values, st.integers(2, 12), st.sampled_from([np.float32, np.float64]))
def test_edges_are_values_that_occur_at_the_quantiles(rows: list[float | None], bins: int, kind: type) -> None:
    given_values = np.array([np.nan if v is None else v for v in rows], dtype=kind)
    known = given_values[~np.isnan(given_values)].astype(np.float64)
    reference = number_reference(given_values, bins)
    edges = np.asarray(reference["edges"], dtype=np.float64)
    if len(known) and known.min() < known.max():
        with np.errstate(invalid="ignore"):  # NumPy subtracts infinities on its way to a value that occurs
            expected = np.unique(np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf"))
        assert edges.tolist() == expected[(expected < known.max()) & np.isfinite(expected)].tolist()
    bounds = [-np.inf, *edges, np.inf]
    slow = [sum(low < v <= high or v == low == -np.inf for v in known) for low, high in pairwise(bounds)]
    assert reference["counts"] == slow


def test_a_continuous_number_gets_equal_bins() -> None:
    reference = number_reference(np.random.default_rng(1).normal(size=1000), 10)
    assert reference["counts"] == [100] * 10


def test_a_discrete_number_gets_one_bin_per_value_and_no_empty_one() -> None:
    reference = number_reference(np.repeat([0.0, 1.0, 7.0], [600, 200, 200]), 10)
    assert reference["edges"] == [0.0, 1.0]
    assert reference["counts"] == [600, 200, 200]


def test_a_number_that_never_varied_notices_any_other_value() -> None:
    reference = number_reference(np.full(50, 5.0), 10)
    counts, _ = compute_counts(pa.chunked_array([pa.array([4.9, 5.0, 5.1, 6.0], pa.float64())]), reference)
    assert counts.tolist() == [1, 1, 2]
    assert bin_names(reference) == ["below 5", "5", "above 5"]


def test_categories_beyond_the_most_frequent_are_other() -> None:
    names = [f"v{i:02d}" for i in range(MAX_CATEGORIES + 5) for _ in range(i + 1)]
    reference = category_reference(pa.chunked_array([[*names, None]]))
    assert len(reference["categories"]) == MAX_CATEGORIES
    assert reference["other"] == 1 + 2 + 3 + 4 + 5
    assert reference["null"] == 1
    counts, nulls = compute_counts(pa.chunked_array([["v54", "new", None]]), reference)
    assert (counts[0], counts[-1], counts.sum(), nulls) == (1, 1, 2, 1)


def test_the_whole_reference_is_json_and_counts_customers() -> None:
    schema = FeatureSchema((FeatureSpec("x", "number", "x", "x"), FeatureSpec("c", "category", "c", "c")))
    table = pa.table({"customer_id": ["a", "a", "b"], "x": pa.array([1, 2, None], pa.float32()), "c": ["u", "v", None]})
    reference = reference_histograms(table, schema, 10, scores=np.array([0.1, 0.2]))
    assert json.loads(canonical_json(reference)) == reference
    assert (reference["rows"], reference["customers"]) == (3, 2)
    assert reference["features"]["c"]["null"] == reference["features"]["x"]["null"] == 1
    assert sum(reference["score"]["counts"]) == 2
    with pytest.raises(DataError, match="column 'c' is missing"):
        reference_histograms(table.drop_columns(["c"]), schema, 10)
