"""docs/how-to/read-datasets-elsewhere.md: every snippet runs, and all tools read the same snapshots."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from holdfast.artifacts.dataset import CutoffCount, Dataset, DatasetManifest
from holdfast.artifacts.schema import FeatureSchema, FeatureSpec
from holdfast.clock import naive
from holdfast.stores.engine import DuckDBEngine
from holdfast.stores.offline import write_dataset
from holdfast.types import DatasetId

CUTOFFS = [datetime(2024, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
LABELS = [0, 1, None]


def rows(cutoff: datetime) -> pa.Table:
    times = pa.array([naive(cutoff)] * 3, pa.timestamp("us"))
    return pa.table(
        {
            "customer_id": ["a", "b", "c"], "cutoff": times, "label": pa.array(LABELS, pa.int8()),
            "state": ["matured", "matured", "immature"], "label_available_at": times, "usage": [0.5, None, 2.0],
        }
    )  # fmt: skip


@pytest.fixture
def dataset(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A dataset of the demo, in a folder with its configuration, from where the page's commands are run."""
    shutil.copytree(root / "conf" / "demo", tmp_path / "conf" / "demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_HOME", raising=False)
    counts = tuple(CutoffCount(c, c, 3, 1, {"matured": 2, "immature": 1}) for c in CUTOFFS)
    schema = FeatureSchema((FeatureSpec("usage", "number", "usage", "usage"),))
    manifest = DatasetManifest(
        DatasetId("d1"), "demo", CUTOFFS[-1], CUTOFFS[-1], "recorded", "", (1,), {}, schema, counts
    )  # fmt: skip
    with DuckDBEngine(threads=1) as engine:
        parts = {c: engine.from_arrow(rows(c), f"part_{i}") for i, c in enumerate(CUTOFFS)}
        return write_dataset(tmp_path / "var" / "demo", manifest, engine, parts)


@pytest.fixture(scope="module")
def snippets(root: Path) -> dict[str, str]:
    """Heading -> the snippet below it."""
    page = (root / "docs" / "how-to" / "read-datasets-elsewhere.md").read_text(encoding="utf-8")
    found = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?```(?:python|sql)\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    return {heading: text.replace("datasets/ID/", "datasets/d1/") for heading, text in found}


def ran(snippet: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(snippet, names)
    return names


def labels(pairs: list[tuple[datetime, Any]]) -> dict[datetime, Counter[str]]:
    """How often each label is at each cutoff."""
    found: dict[datetime, Counter[str]] = {c: Counter() for c in CUTOFFS}
    for cutoff, label in pairs:
        found[cutoff.replace(tzinfo=UTC)]["null" if label is None or label != label else str(int(label))] += 1
    return found


ALL = {c: Counter({"0": 1, "1": 1, "null": 1}) for c in CUTOFFS}
MATURED = {c: Counter({"0": 1, "1": 1}) for c in CUTOFFS}


def test_every_tool_is_here(snippets: dict[str, str]) -> None:
    assert list(snippets) == ["Python, with Holdfast", "DuckDB", "Polars", "pandas", "PyArrow"]


def test_python(snippets: dict[str, str], dataset: Dataset) -> None:
    got = ran(snippets["Python, with Holdfast"])
    assert got["dataset"] == dataset
    for columns in (got["table"].to_pydict(), {k: list(v) for k, v in got["frame"].items()}):
        assert labels(list(zip(columns["cutoff"], columns["label"], strict=True))) == MATURED
    scan = dataset.scan()
    assert duckdb.sql("SELECT count(*) FROM scan").fetchall() == [(9,)]
    assert scan.schema.field("cutoff").type == pa.timestamp("us")


def test_duckdb(snippets: dict[str, str], dataset: Dataset) -> None:
    expected = [(naive(c), 2, 1) for c in CUTOFFS]
    assert duckdb.sql(snippets["DuckDB"]).fetchall() == expected
    by_folder = snippets["DuckDB"].replace("= false", "= true").replace("WHERE", "WHERE cutoff < DATE '2024-03-01' AND")
    assert duckdb.sql(by_folder).fetchall() == [(c.date(), 2, 1) for c in CUTOFFS[:2]]


def test_polars(snippets: dict[str, str], dataset: Dataset) -> None:
    polars = pytest.importorskip("polars", reason="Polars is not installed: pip install polars")
    assert sorted(ran(snippets["Polars"])["frame"].rows()) == [(naive(c), 1) for c in CUTOFFS]
    assert polars.scan_pyarrow_dataset(dataset.scan()).select("usage").collect().height == 9


def test_pandas_and_pyarrow(snippets: dict[str, str], dataset: Dataset) -> None:
    frame = ran(snippets["pandas"])["frame"]
    assert labels(list(zip(frame["cutoff"], frame["label"], strict=True))) == ALL
    table = ran(snippets["PyArrow"])["table"].to_pydict()
    assert labels(list(zip(table["cutoff"], table["label"], strict=True))) == ALL
