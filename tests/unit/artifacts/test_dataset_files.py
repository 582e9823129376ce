"""A dataset on disk: the manifest reads back, parts come in cutoff order, and what is missing is named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.artifacts.batches import DECISION_SCHEMA, SCORE_SCHEMA
from holdfast.artifacts.dataset import MANIFEST, CutoffCount, Dataset, DatasetManifest, cutoff_scalar, snapshot_schema
from holdfast.artifacts.files import write_json
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.errors import NotFoundError, StoreError
from holdfast.types import DatasetId

FEBRUARY, MARCH = datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
FEATURES = FeatureSchema(
    (FeatureSpec("x", "number", "x", "x"), FeatureSpec("plan", "category", "plan", "plan", end_state=True))
)
MANIFEST_OF_TWO = DatasetManifest(
    dataset_id=DatasetId("d1"),
    project="small",
    known_as_of=MARCH,
    complete_through=MARCH,
    history="recorded",
    reconstructed_why="",
    anchor_days=(1,),
    label={"horizon": "1m"},
    schema=FEATURES,
    cutoffs=(
        CutoffCount(FEBRUARY, MARCH, 2, 1, {"matured": 2}),
        CutoffCount(MARCH, datetime(2024, 4, 1, tzinfo=UTC), 1, 0, {"immature": 1}),
    ),
    sources={"usage": {"rows": 3}},
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    write_json(tmp_path / MANIFEST, MANIFEST_OF_TWO.to_json())
    dataset = Dataset.open(tmp_path)
    for cutoff, ids, labels, state in [(FEBRUARY, ["a", "b"], [0, 1], "matured"), (MARCH, ["a"], [None], "immature")]:
        n = len(ids)
        columns = {
            "customer_id": ids,
            "cutoff": [cutoff_scalar(cutoff).as_py()] * n,
            "label": labels,
            "state": [state] * n,
            "label_available_at": [cutoff_scalar(cutoff).as_py()] * n,
            "x": [1.5] * n,
            "plan": ["basic"] * n,
        }
        dataset.part(cutoff).parent.mkdir()
        pq.write_table(pa.table(columns, schema=snapshot_schema(FEATURES)), dataset.part(cutoff))
    return dataset


def test_a_manifest_reads_back_and_counts(dataset: Dataset) -> None:
    manifest = dataset.manifest
    assert manifest == MANIFEST_OF_TWO
    assert (manifest.snapshots, manifest.matured, manifest.positives) == (3, 2, 1)
    assert manifest.matured_cutoffs() == [FEBRUARY]
    assert manifest.to_json()["end_state"] == ["plan"]


def test_only_matured_snapshots_are_read_unless_asked(dataset: Dataset) -> None:
    assert dataset.part(FEBRUARY).parent.name == "cutoff=2024-02-01"
    assert dataset.read().column("customer_id").to_pylist() == ["a", "b"]
    assert dataset.read(state=None).column("label").to_pylist() == [0, 1, None]
    assert dataset.read([MARCH], state="immature").num_rows == 1
    assert dataset.read(columns=["plan"]).column_names[-1] == "plan"
    assert dataset.read(columns=[]).column_names[-1] == "label_available_at"


def test_what_is_not_there_is_named(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no cutoff 2024-05-01"):
        dataset.read([datetime(2024, 5, 1, tzinfo=UTC)])
    with pytest.raises(NotFoundError, match="has no cutoffs"):
        dataset.read([])
    with pytest.raises(NotFoundError, match="holdfast build"):
        Dataset.open(tmp_path / "none")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"dataset_id": "x"}'])
def test_a_broken_manifest_is_a_store_error(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(StoreError, match="not a dataset manifest"):
        Dataset.open(tmp_path)


def test_batches_are_keyed_alike() -> None:
    for schema in (SCORE_SCHEMA, DECISION_SCHEMA):
        assert schema.names[:3] == ["customer_id", "cutoff", "probability"]
