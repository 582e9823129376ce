"""The offline store: the same tables give the same bytes, whole or not at all."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from holdfast.artifacts.batches import DecisionBatch, ScoreBatch
from holdfast.artifacts.dataset import CutoffCount, Dataset, DatasetManifest, snapshot_schema
from holdfast.artifacts.files import sha256_of
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.clock import naive
from holdfast.errors import DataError, NotFoundError, NotReadyError, StoreError, UsageError
from holdfast.stores import scores
from holdfast.stores.engine import DuckDBEngine
from holdfast.stores.offline import dataset_names, datasets, find_dataset, latest_dataset, write_dataset
from holdfast.stores.scores import (
    DECISIONS,
    check_made_of,
    decision_cutoffs,
    read_decisions,
    read_scores,
    score_cutoffs,
    write_decisions,
)
from holdfast.types import DatasetId
from online_tables import CUTOFF, tables

FEB, MAR = datetime(2024, 2, 1, tzinfo=UTC), CUTOFF
SCHEMA = FeatureSchema(
    (FeatureSpec("usage", "number", "usage", "usage"), FeatureSpec("plan", "category", "plan", "plan"))
)


def manifest(name: str = "d1", rows: int = 3) -> DatasetManifest:
    counts = tuple(CutoffCount(c, c, rows, 1, {"matured": rows}) for c in (FEB, MAR))
    return DatasetManifest(
        DatasetId(name), "shop", MAR, MAR, "recorded", "", (1,), {"churn": "contractual"}, SCHEMA, counts
    )


def part(cutoff: datetime, ids: str = "cab") -> pa.Table:
    n = len(ids)
    return pa.table(
        {
            "plan": pa.array(["basic", None, "plus"][:n]).dictionary_encode(),
            "customer_id": list(ids),
            "cutoff": pa.array([naive(cutoff)] * n, pa.timestamp("us")),
            "label": pa.array([0, 1, None][:n], pa.int8()),
            "state": ["matured"] * n,
            "label_available_at": pa.array([naive(cutoff)] * n, pa.timestamp("us")),
            "usage": pa.array([0.1, None, 2.0][:n], pa.float64()),
            "extra": [1] * n,
        }
    )


def written_by_duckdb(root: Path, manifest: DatasetManifest, parts: dict[datetime, pa.Table]) -> Dataset:
    with DuckDBEngine(threads=1) as engine:
        tables = {c: engine.from_arrow(table, f"part_{i}") for i, (c, table) in enumerate(parts.items())}
        return write_dataset(root, manifest, engine, tables)


def write_scores(root: Path, batch: ScoreBatch) -> Path:
    with DuckDBEngine(threads=1) as engine:
        return scores.write_scores(root, engine, batch.cutoff, engine.from_arrow(batch.table, "rows"), batch.manifest)


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_dataset_is_ordered_typed_and_the_latest(tmp_path: Path) -> None:
    written = written_by_duckdb(tmp_path, manifest(), {FEB: part(FEB), MAR: part(MAR)})
    found = latest_dataset(tmp_path)
    assert found == written
    table = found.read(state=None)
    assert table.schema == snapshot_schema(SCHEMA)
    assert table.column("customer_id").to_pylist() == ["a", "b", "c"] * 2
    assert table.column("plan").to_pylist()[:3] == [None, "plus", "basic"]
    written_by_duckdb(tmp_path, manifest("d2"), {FEB: part(FEB), MAR: part(MAR)})
    assert latest_dataset(tmp_path).manifest.dataset_id == "d2"


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    written_by_duckdb(tmp_path / "x", manifest(), {FEB: part(FEB), MAR: part(MAR)})
    reverse = pa.concat_tables([part(FEB)[2:], part(FEB)[:2]])
    written_by_duckdb(tmp_path / "y", manifest(), {MAR: part(MAR), FEB: reverse})
    written_by_duckdb(tmp_path / "y", manifest(), {MAR: part(MAR), FEB: reverse})
    assert files(tmp_path / "x") == files(tmp_path / "y")
    assert set(files(tmp_path / "x")) == {
        "datasets/LATEST",
        "datasets/d1/manifest.json",
        "datasets/d1/cutoff=2024-02-01/part-0.parquet",
        "datasets/d1/cutoff=2024-03-01/part-0.parquet",
    }
    metadata = pq.ParquetFile(tmp_path / "x/datasets/d1/cutoff=2024-02-01/part-0.parquet").metadata
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert b"pandas" not in (metadata.metadata or {})


def test_a_part_that_does_not_fit_is_refused_and_the_old_dataset_stays(tmp_path: Path) -> None:
    written_by_duckdb(tmp_path, manifest(), {FEB: part(FEB), MAR: part(MAR)})
    before = files(tmp_path)
    bad: dict[str, dict[datetime, pa.Table]] = {
        "no part for 2024-03-01": {FEB: part(FEB)},
        "2 snapshots; the manifest says 3": {FEB: part(FEB, "ab"), MAR: part(MAR)},
        "does not have 2024-04-01": {FEB: part(FEB), MAR: part(MAR), datetime(2024, 4, 1, tzinfo=UTC): part(FEB)},
        "null or repeated": {FEB: part(FEB, "aab"), MAR: part(MAR)},
        "rows of another cutoff": {FEB: part(MAR), MAR: part(MAR)},
        "columns are missing: usage": {FEB: part(FEB).drop_columns(["usage"]), MAR: part(MAR)},
    }
    for message, parts in bad.items():
        with pytest.raises(DataError, match=message):
            written_by_duckdb(tmp_path, manifest(), parts)
        assert files(tmp_path) == before


def test_no_dataset_or_a_broken_pointer(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="holdfast build"):
        latest_dataset(tmp_path)
    (tmp_path / "datasets").mkdir()
    for text in ("", "../../etc", "a/b"):
        (tmp_path / "datasets/LATEST").write_text(text)
        with pytest.raises(StoreError, match="not a dataset's id"):
            latest_dataset(tmp_path)
    (tmp_path / "datasets/LATEST").write_text("gone\n")
    with pytest.raises(NotFoundError, match="no dataset at"):
        latest_dataset(tmp_path)


def test_a_dataset_by_its_id_or_how_it_begins(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holdfast build"):
        find_dataset(tmp_path, "d1")
    for name in ("d1", "d12", "e3"):
        written_by_duckdb(tmp_path, manifest(name), {FEB: part(FEB), MAR: part(MAR)})
    for hidden in (".tmp~d1~0~x", ".e4.removed"):  # what is being written or removed
        shutil.copytree(tmp_path / "datasets" / "d1", tmp_path / "datasets" / hidden)
    assert [d.manifest.dataset_id for d in datasets(tmp_path)] == dataset_names(tmp_path) == ["d1", "d12", "e3"]
    for word, name in (("d1", "d1"), ("d12", "d12"), ("e", "e3")):
        assert find_dataset(tmp_path, word).path.name == name
    for word, said in (
        ("d", "2 datasets begin with 'd': d1, d12. Give more"),
        ("", "no dataset ''"),
        ("d13", "did you mean 'd1"),
        ("../d1", "there is no dataset"),
    ):
        with pytest.raises(UsageError, match=said):
            find_dataset(tmp_path, word)


def test_a_scan_reads_what_is_asked_for(tmp_path: Path) -> None:
    dataset = written_by_duckdb(tmp_path, manifest(), {FEB: part(FEB), MAR: part(MAR)})
    scanned = dataset.scan()
    assert scanned.schema == snapshot_schema(SCHEMA)
    assert scanned.to_table() == dataset.read(state=None)
    some = scanned.to_table(columns=["customer_id", "cutoff"], filter=pc.field("usage") > 1)
    assert some.to_pylist() == [{"customer_id": "b", "cutoff": naive(c)} for c in (FEB, MAR)]
    assert dataset.scan([MAR]).count_rows() == 3
    dataset.part(MAR).unlink()
    with pytest.raises(NotFoundError, match="d1 has no cutoff 2024-03-01"):
        dataset.scan()


def test_scores_and_decisions_come_back_as_written(tmp_path: Path) -> None:
    t = tables(["a", "b", "c"])
    write_scores(tmp_path, ScoreBatch(MAR, t.scores, {"n": 3}))
    write_decisions(tmp_path, DecisionBatch(MAR, t.decisions, {"budget": None}))
    before = files(tmp_path)
    assert read_scores(tmp_path) == ScoreBatch(MAR, t.scores, {"n": 3})
    made_of = {"made_of": sha256_of(tmp_path / "scores/cutoff=2024-03-01/part-0.parquet")}
    assert read_decisions(tmp_path, MAR) == DecisionBatch(MAR, t.decisions, {"budget": None} | made_of)
    write_scores(tmp_path, ScoreBatch(MAR, t.scores.take([2, 0, 1]), {"n": 3}))
    assert files(tmp_path) == before
    assert set(before) == {
        f"{kind}/cutoff=2024-03-01/{name}"
        for kind in ("scores", "decisions")
        for name in ("part-0.parquet", "manifest.json")
    }
    (tmp_path / "scores/.tmp~cutoff=2024-04-01~0~x").mkdir()
    (tmp_path / "scores/cutoff=soon").mkdir()
    assert score_cutoffs(tmp_path) == decision_cutoffs(tmp_path) == [MAR]


def test_decisions_of_other_scores_are_refused(tmp_path: Path) -> None:
    t = tables(["a", "b", "c"])
    write_scores(tmp_path, ScoreBatch(MAR, t.scores, {}))
    write_decisions(tmp_path, DecisionBatch(MAR, t.decisions, {}))
    check_made_of(tmp_path, DECISIONS, MAR)
    write_scores(tmp_path, ScoreBatch(MAR, tables(["a", "b", "c"], seed=2).scores, {}))
    with pytest.raises(NotReadyError, match=r"the decisions of 2024-03-01 were not made of the scores .* decide"):
        check_made_of(tmp_path, DECISIONS, MAR)
    write_decisions(tmp_path, DecisionBatch(MAR, t.decisions, {}))
    check_made_of(tmp_path, DECISIONS, MAR)


def test_a_writer_killed_between_its_renames_takes_no_cutoff_away(tmp_path: Path) -> None:
    t = tables(["a", "b", "c"])
    path = write_scores(tmp_path, ScoreBatch(MAR, t.scores, {"n": 3}))
    dead = subprocess.Popen(["true"])
    dead.wait()
    aside = path.parent / f".tmp~{path.name}~{dead.pid}~x"
    aside.mkdir()
    path.rename(aside / path.name)
    assert score_cutoffs(tmp_path) == [MAR]
    assert read_scores(tmp_path).manifest == {"n": 3}
    assert not aside.exists()


def test_missing_and_damaged_scores(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="holdfast score"):
        read_scores(tmp_path)
    t = tables(["a"])
    path = write_scores(tmp_path, ScoreBatch(MAR, t.scores, {}))
    with pytest.raises(NotFoundError, match=r"no scores of cutoff 2024-02-01.*the latest is 2024-03-01"):
        read_scores(tmp_path, FEB)
    (path / "part-0.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(StoreError, match=r"cannot read .*holdfast score"):
        read_scores(tmp_path)
    with pytest.raises(DataError, match="another cutoff"):
        write_scores(tmp_path, ScoreBatch(FEB, t.scores, {}))


def test_a_part_may_be_the_file_of_another_dataset(tmp_path: Path) -> None:
    first = written_by_duckdb(tmp_path, manifest(), {FEB: part(FEB), MAR: part(MAR)})
    with DuckDBEngine(threads=1) as engine:
        march = engine.from_arrow(part(MAR), "march")
        second = write_dataset(tmp_path, manifest("d2"), engine, {FEB: first.part(FEB), MAR: march})
    assert files(second.path).keys() == files(first.path).keys()
    assert second.read(state=None).equals(first.read(state=None))
    assert second.part(FEB).samefile(first.part(FEB))
    assert [d.manifest.dataset_id for d in datasets(tmp_path)] == ["d1", "d2"]
    (first.path / "manifest.json").write_text("{}")
    assert [d.manifest.dataset_id for d in datasets(tmp_path)] == ["d2"], "what cannot be read is passed over"
