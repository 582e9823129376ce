"""A small company to audit: the built-in one on 600 customers, with rows at the very instant of cutoffs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.pipelines.bootstrap import Workspace, open_workspace

FEATURES = """\
windows: [3m]
tenure: true
attributes: {region: region}
values:
  plans_contract: {table: plans, column: contract, label: contract}
  plans_monthly_price: {table: plans, column: monthly_price, label: monthly price, unit: USD, aggregations: [value]}
measures:
  usage_minutes: {table: usage, column: minutes, label: minutes used, aggregations: [sum, max]}
  payments: {table: payments, column: amount, label: paid, aggregations: [sum]}
  invoices: {table: invoices, column: amount, label: billed, aggregations: [sum]}
  tickets: {table: tickets, label: tickets, aggregations: [count]}
"""
SETS = (
    "data.simulate.customers=600",
    "data.simulate.months=24",
    "data.complete_through=2024-01-08",
    "training.estimators.rfm.features=[]",
    "training.estimators.xgboost.params.rounds=10",
    "training.estimators.lightgbm.params.rounds=10",
    "training.folds.validation_cutoffs=2",
    "training.bootstrap=50",
    "training.threads=2",
    "training.promotion.min_lift=-1",
    "training.promotion.latency_ms=10000",
    "training.promotion.max_calibration_error=1",
)


def put_conf(repository: Path, root: Path) -> None:
    """The demo's configuration with few features."""
    shutil.copytree(repository / "conf" / "demo", root / "conf" / "demo")
    (root / "conf" / "demo" / "features.yaml").write_text(FEATURES, encoding="utf-8")


def opened(root: Path, sets: Sequence[str] = ()) -> Workspace:
    return open_workspace("demo", root=root, sets=[*SETS, *sets], environ={})


def add_instant_tickets(sources: Path, cutoffs: Sequence[datetime], every: int = 40) -> None:
    """Tickets opened at the very instant of a cutoff and known at once, of every so-manieth customer."""
    customers = read(sources / "customers").column("customer_id").to_pylist()
    table = read(sources / "tickets")
    rows: list[dict[str, Any]] = []
    for number, customer in enumerate(customers[::every]):
        cutoff = cutoffs[number % len(cutoffs)].replace(tzinfo=None)
        row = dict.fromkeys(table.column_names)
        row |= {"ticket_id": f"X{number}", "customer_id": customer, "opened_at": cutoff, "available_at": cutoff}
        rows.append({**row, "category": "network", "severity": 2})
    more = pa.Table.from_pylist(rows, table.schema)
    pq.write_table(pa.concat_tables([table, more]), next((sources / "tickets").glob("*.parquet")))


def read(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.ParquetFile(f).read() for f in sorted(folder.glob("*.parquet"))])


def rewrite(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a source table in place."""
    for file in sorted(folder.glob("*.parquet")):
        pq.write_table(change(pq.ParquetFile(file).read()), file)


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with a column replaced or added."""
    if name in table.column_names:
        at = table.column_names.index(name)
        return table.set_column(at, name, pa.array(values, table.schema.field(name).type))
    return table.append_column(name, pa.array(values))


def parts(dataset: Path) -> list[Path]:
    return sorted(dataset.glob("cutoff=*/part-0.parquet"))


def rewrite_parts(dataset: Path, change: Callable[[pa.Table], pa.Table | None]) -> None:
    """Change the Parquet of every cutoff; None leaves one as it is."""
    for file in parts(dataset):
        changed = change(pq.ParquetFile(file).read())
        if changed is not None:
            pq.write_table(changed, file)


def put_values(dataset: Path, feature: str, values: dict[tuple[str, datetime], Any]) -> int:
    """Put values of (customer, naive cutoff) into a feature; returns how many cells changed."""
    moved = 0

    def change(table: pa.Table) -> pa.Table:
        nonlocal moved
        ids, at = table.column("customer_id").to_pylist(), table.column("cutoff").to_pylist()
        old = table.column(feature).to_pylist()
        new = [values.get((c, t), v) for c, t, v in zip(ids, at, old, strict=True)]
        new = pa.array(new, table.schema.field(feature).type).to_pylist()
        moved += sum(a != b for a, b in zip(old, new, strict=True))
        return with_column(table, feature, new)

    rewrite_parts(dataset, change)
    return moved


def labels(dataset: Path) -> pa.Table:
    return pa.concat_tables([pq.ParquetFile(f).read() for f in parts(dataset)])


def month_later(at: datetime) -> datetime:
    return (at.replace(day=1) + timedelta(days=32)).replace(day=1)
