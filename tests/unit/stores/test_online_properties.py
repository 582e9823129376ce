"""Whatever the values are, the online store gives them back."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from online_tables import Tables, tables, write

from holdfast.stores.online import OnlineReader, OnlineWriter

ROW = st.tuples(st.none() | st.floats(width=32), st.none() | st.text(max_size=20))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(max_size=20), ROW, max_size=12))
def test_any_rows_come_back(rows: dict[str, tuple[float | None, str | None]]) -> None:
    ids = sorted(rows, key=str.encode)
    t = tables(ids)
    features = t.features.set_column(1, "f0", pa.array([rows[i][0] for i in ids], pa.float32()))
    features = features.set_column(4, "plan", pa.array([rows[i][1] for i in ids], pa.string()))
    with TemporaryDirectory() as name:
        folder = Path(name)
        OnlineWriter(folder).switch(write(folder, Tables(features, t.schema, t.scores, t.decisions)))
        reader = OnlineReader(folder)
        for customer, (number, text) in rows.items():
            row = reader.get(customer)
            assert row is not None
            assert row.customer_id == customer
            assert _bits(row.features["f0"]) == _bits(number)
            assert row.features["plan"] == text
        reader.close()


def _bits(value: Any) -> bytes | None:
    return None if value is None or math.isnan(value) else struct.pack("<f", value)
