"""A project's tables, written as a test wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.config.data import DataSection
from holdfast.sources.tables import Sources, load_sources
from holdfast.stores.engine import DuckDBEngine

CUSTOMERS = "id,start,end\n1,2024-01-01,2024-02-01\n2,2024-01-05,\n"


def declared(**tables: dict[str, Any]) -> DataSection:
    """Customers in c.csv, and the tables given; each names its kind."""
    customers = {"kind": "customers", "path": "c.csv", "key": "id", "start": "start", "end": "end"}
    return DataSection.model_validate({"tables": {"customers": customers, **tables}})


def write(root: Path, **files: str | bytes | pa.Table) -> None:
    """Files by stem: text is CSV, an Arrow table Parquet."""
    for stem, content in {"c": CUSTOMERS, **files}.items():
        if isinstance(content, pa.Table):
            pq.write_table(content, root / f"{stem}.parquet")
        else:
            (root / f"{stem}.csv").write_bytes(content if isinstance(content, bytes) else content.encode())


def loaded(root: Path, data: DataSection, **how: Any) -> tuple[Sources, dict[str, list[dict[str, Any]]]]:
    """The sources, and the rows of every table, sorted by their text."""
    with DuckDBEngine(threads=1) as engine:
        sources = load_sources(engine, data, root, **how)
        rows = {n: engine.to_arrow(t.table).to_pylist() for n, t in sources.tables.items()}
    return sources, {n: sorted(r, key=str) for n, r in rows.items()}


def cells(rows: Sequence[dict[str, Any]], name: str) -> list[Any]:
    return [r[name] for r in sorted(rows, key=lambda r: str(r["event_id"]))]
