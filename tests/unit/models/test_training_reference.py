"""Typical values and ranges of training rows."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.models.reference import QUANTILES, reference_of


def test_medians_modes_and_shares():
    schema = FeatureSchema(
        (
            FeatureSpec("n", "number", "n", "n"),
            FeatureSpec("c", "category", "c", "c"),
            FeatureSpec("none", "number", "none", "none"),
            FeatureSpec("blank", "category", "blank", "blank"),
        )
    )
    table = pa.table(
        {
            "n": pa.array([0.1, 0.3, None, 0.1], pa.float32()),
            "c": ["b", "a", None, None],
            "none": pa.nulls(4, pa.float32()),
            "blank": pa.nulls(4, pa.string()),
        }
    )
    found = reference_of(table, schema)
    assert found["typicals"] == {"n": 0.1, "c": "a", "none": None, "blank": None}
    assert (found["ranges"]["n"]["min"], found["ranges"]["n"]["max"]) == (0.1, 0.3)
    assert found["ranges"]["c"] == {"null_share": 0.5, "levels": {"a": 1, "b": 1}}
    assert found["ranges"]["none"]["quantiles"] == {}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6, width=32) | st.just(float("inf")), min_size=1, max_size=60),
)
def test_quantiles_are_numpys(values):
    schema = FeatureSchema((FeatureSpec("n", "number", "n", "n"),))
    found = reference_of(pa.table({"n": pa.array(values, pa.float32())}), schema)["ranges"]["n"]
    known = [v for v in values if v is not None and np.isfinite(v)]
    if not known:
        assert (found["min"], found["max"], found["quantiles"]) == (None, None, {})
        return
    expected = np.quantile(np.array(known, dtype=np.float64), QUANTILES)
    assert list(found["quantiles"]) == [str(q) for q in QUANTILES]
    np.testing.assert_allclose(list(found["quantiles"].values()), expected, rtol=1e-6, atol=1e-30)
    assert (found["min"], found["max"]) == tuple(float(str(np.float32(v))) for v in (min(known), max(known)))


def test_row_order_does_not_matter(tools):
    table = tools.table(500)
    order = pa.array(np.random.default_rng(0).permutation(500))
    assert reference_of(table, tools.schema) == reference_of(table.take(order), tools.schema)
