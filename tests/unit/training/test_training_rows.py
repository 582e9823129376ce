"""Rows taken from a table: those asked for, in that order, and no copy where they follow each other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.training.rows import TrainingRows

SCHEMA = FeatureSchema((FeatureSpec("u", "number", "u", "u"), FeatureSpec("plan", "category", "plan", "plan")))
ROWS = TrainingRows(
    pa.table(
        {
            "customer_id": [f"c{i}" for i in range(9)],
            "cutoff": pa.array(range(9), pa.timestamp("us")),
            "u": pa.chunked_array([np.arange(4, dtype=np.float32), np.arange(4, 9, dtype=np.float32)]),
            "plan": list("abcabcabc"),
        }
    ),
    SCHEMA,
)


@pytest.mark.parametrize("numbers", [[2, 3, 4, 5], [0], [8, 0, 3], [1, 3], [3, 2, 1], [], list(range(9))])
def test_rows_are_those_asked_for(numbers):
    at = np.array(numbers, dtype=np.int64)
    found = ROWS.take(at)
    assert found.column_names == ["cutoff", "u", "plan"]
    assert found.column("u").to_pylist() == [float(i) for i in numbers]
    assert found.column("plan").to_pylist() == ["abcabcabc"[i] for i in numbers]
    assert ROWS.take(at, ["customer_id"]).column("customer_id").to_pylist() == [f"c{i}" for i in numbers]


def test_rows_that_follow_each_other_are_not_copied():
    pa_bytes = pa.total_allocated_bytes()
    held = ROWS.take(np.arange(1, 8))
    assert pa.total_allocated_bytes() == pa_bytes
    assert held.num_rows == 7
