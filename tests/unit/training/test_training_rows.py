"""Rows taken from a table: those asked for, in that order, and no copy where they follow each other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.artifacts.dataset import CutoffCount, Dataset, DatasetManifest
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.errors import StoreError
from holdfast.training.rows import TrainingRows
from holdfast.types import DatasetId

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


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[TrainingRows, TrainingRows]:
    """A dataset of three cutoffs in memory, and read from its files; not every snapshot has a label."""
    rng = np.random.default_rng(0)
    numbers = tuple(FeatureSpec(f"n{i}", "number", "n", "n") for i in range(5))
    schema = FeatureSchema((*numbers, FeatureSpec("plan", "category", "plan", "plan")))
    cutoffs = [datetime(2024, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    folder = tmp_path_factory.mktemp("dataset")
    counts = []
    for number, cutoff in enumerate(cutoffs):
        n = 7 + number
        states = ["immature" if i == 2 else "matured" for i in range(n)]
        columns = {
            "customer_id": [f"c{i:02}" for i in range(n)],
            "cutoff": pa.array([cutoff.replace(tzinfo=None)] * n, pa.timestamp("us")),
            "label": pa.array([None if s == "immature" else i % 2 for i, s in enumerate(states)], pa.int8()),
            "state": states,
            "label_available_at": pa.array([cutoff.replace(tzinfo=None)] * n, pa.timestamp("us")),
            **{f.name: pa.array(rng.normal(size=n), pa.float32()) for f in numbers},
            "plan": pa.array([None, *"ab" * (n // 2), "c"][:n], pa.string()),
        }
        dataset = Dataset(folder, None)
        dataset.part(cutoff).parent.mkdir()
        pq.write_table(pa.table(columns), dataset.part(cutoff))
        counts.append(CutoffCount(cutoff, cutoff, n, 0, {"matured": n - 1, "immature": 1}))
    manifest = DatasetManifest(
        DatasetId("d"), "p", cutoffs[-1], cutoffs[-1], "recorded", "", (1,), {}, schema, tuple(counts)
    )
    dataset = Dataset(folder, manifest)
    memory, files = TrainingRows.of(dataset), TrainingRows.of(dataset, most_bytes=0)
    assert memory.dataset is None
    assert files.table.column_names == ["customer_id", "cutoff", "label"]
    return memory, files


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 20), max_size=25, unique=True))
def test_a_large_dataset_answers_as_one_in_memory(both, numbers):
    memory, files = both
    assert len(memory) == len(files) == 6 + 7 + 8
    for name in ("y", "customers", "cutoffs"):
        assert np.array_equal(getattr(memory, name), getattr(files, name))
    at = np.array(numbers, dtype=np.int64)
    assert files.take(at).equals(memory.take(at))
    columns = ["customer_id", "n1", "plan"]
    assert files.take(at, columns).equals(memory.take(at, columns))
    assert np.array_equal(files.values("n3", at), memory.values("n3", at), equal_nan=True)
    assert files.values("plan", at).tolist() == memory.values("plan", at).tolist()
    found = pa.table({"n1": pa.nulls(len(at), pa.float32())})
    for places, piece in files.pieces(at, ["n1"]):
        assert piece.column("n1").to_pylist() == memory.take(at[places], ["n1"]).column("n1").to_pylist()
        found = found.slice(len(places))
    assert found.num_rows == 0


def test_features_come_a_few_at_a_time(both, monkeypatch):
    memory, _ = both
    monkeypatch.setattr("holdfast.training.rows.FEATURES_AT_A_TIME", 4)
    at = np.arange(3, 15)
    for rows in both:
        found = rows.of_features(at, rows.schema, lambda table, part: (part.names, table), threads=2)
        assert [names for names, _ in found] == [["n0", "n1", "n2", "n3"], ["n4", "plan"]]
        assert all(table.equals(memory.take(at, names)) for names, table in found)


def test_a_dataset_that_changed_while_it_was_read_is_refused(both, tmp_path):
    _, files = both
    folder = tmp_path / "changed"
    shutil.copytree(files.dataset.path, folder)
    changed = replace(files, dataset=Dataset(folder, files.dataset.manifest))
    first = changed.dataset.part(files.dataset.manifest.cutoffs[0].cutoff)
    pq.write_table(pq.ParquetFile(first).read().slice(1), first)
    with pytest.raises(StoreError, match="changed while it was read"):
        changed.take(np.arange(3))


def test_rows_that_follow_each_other_are_not_copied():
    pa_bytes = pa.total_allocated_bytes()
    held = ROWS.take(np.arange(1, 8))
    assert pa.total_allocated_bytes() == pa_bytes
    assert held.num_rows == 7
