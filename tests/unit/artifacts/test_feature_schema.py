"""What the columns of a snapshot mean, and whether a table fits."""

from __future__ import annotations

import pyarrow as pa
import pytest

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.errors import DataError

SCHEMA = FeatureSchema(
    (
        FeatureSpec(
            "usage_minutes_sum_3m", "number", "usage_minutes", "minutes used, last 3 months", "minutes", "usage"
        ),
        FeatureSpec("plan", "category", "plan", "plan", end_state=True),
    )
)


def test_it_reads_back_from_json() -> None:
    assert FeatureSchema.from_json(SCHEMA.to_json()) == SCHEMA


def test_features_are_found_by_name() -> None:
    assert SCHEMA["plan"].end_state
    assert (len(SCHEMA), SCHEMA.names, SCHEMA.end_state) == (2, ["usage_minutes_sum_3m", "plan"], ["plan"])
    assert SCHEMA.without(["plan"]).names == ["usage_minutes_sum_3m"]
    with pytest.raises(KeyError):
        SCHEMA["nothing"]


def test_the_hash_is_of_names_kinds_and_order_only() -> None:
    first, second = SCHEMA.features
    reworded = FeatureSpec("plan", "category", "plan", "other words")
    assert FeatureSchema((first, reworded)).sha256 == SCHEMA.sha256
    assert FeatureSchema((second, first)).sha256 != SCHEMA.sha256


def test_a_table_is_put_in_order_and_cast() -> None:
    table = pa.table({"more": [1], "plan": ["a"], "usage_minutes_sum_3m": pa.array([1.5], pa.float64())})
    fitted = SCHEMA.conform(table)
    assert fitted.schema == pa.schema([("usage_minutes_sum_3m", pa.float32()), ("plan", pa.string())])


def test_what_does_not_fit_is_a_readable_diff() -> None:
    with pytest.raises(DataError, match=r"'usage_minutes_sum_3m' is missing\. did you mean 'usage_minutes_sum_m'"):
        SCHEMA.conform(pa.table({"usage_minutes_sum_m": [1.0], "plan": ["a"]}), where="batch")
    with pytest.raises(DataError, match=r"'usage_minutes_sum_3m' is string, not a number .for example 'x'"):
        SCHEMA.conform(pa.table({"usage_minutes_sum_3m": ["x"], "plan": ["a"]}))
