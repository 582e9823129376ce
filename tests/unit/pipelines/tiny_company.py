"""The demo project on 600 customers and with few features: every verb in seconds, and models that are not good."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
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
  usage_minutes: {table: usage, column: minutes, label: minutes used, aggregations: [sum, ratio]}
  tickets: {table: tickets, label: tickets, aggregations: [count, recency]}
"""
SETS = (
    "data.simulate.customers=600",
    "data.simulate.months=24",
    "data.complete_through=2024-01-08",
    "training.estimators={xgboost: {params: {rounds: 10, depth: 4}}, lightgbm: {params: {rounds: 10, depth: 4}}}",
    "training.folds.validation_cutoffs=2",
    "training.bootstrap=50",
    "training.threads=2",
    "training.promotion.min_lift=-1",  # a first champion at any price: what is tested is not how good it is
    "training.promotion.max_calibration_error=1",
    "training.promotion.latency_ms=10000",  # whatever else the machine is doing
    "training.promotion.calibration_margin=1",
    "training.promotion.profit_margin=1",
    "monitoring.triggers.drifted_share=1",  # with so few rows something always drifts
    "monitoring.triggers.score_psi=100",
)
LAST = datetime(2024, 1, 1, tzinfo=UTC)
"""The latest cutoff; its labels have not matured."""
EARLIER = datetime(2023, 11, 1, tzinfo=UTC)
"""A cutoff whose labels have."""

LEARNT = datetime(2023, 6, 1, tzinfo=UTC)
"""A cutoff that the champion was fitted on."""

Opener = Callable[..., Workspace]


def put_conf(repository: Path, root: Path) -> None:
    """The demo's configuration with few features."""
    shutil.copytree(repository / "conf" / "demo", root / "conf" / "demo")
    (root / "conf" / "demo" / "features.yaml").write_text(FEATURES, encoding="utf-8")


def open_tiny(root: Path, sets: Sequence[str] = ()) -> Workspace:
    return open_workspace("demo", root=root, sets=[*SETS, *sets], environ={})


def files_of(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder, by its path."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def truncate_sources(sources: Path, instant: datetime) -> int:
    """Rewrite the tables as they would have been exported at ``instant``, and say how many rows and cells that took."""
    taken = 0
    bound = pa.scalar(instant.replace(tzinfo=None), pa.timestamp("us"))
    for file in sorted(sources.rglob("*.parquet")):
        table = pq.ParquetFile(file).read()
        known = "signup_known_at" if "signup_known_at" in table.column_names else "available_at"
        rows = table.num_rows
        table = table.filter(pc.less(table.column(known), bound))
        taken += rows - table.num_rows
        for value, told in (("ended_at", "end_known_at"), ("valid_to", "closed_known_at")):
            if told in table.column_names:
                later = pc.fill_null(pc.greater_equal(table.column(told), bound), True)
                taken += pc.sum(pc.and_(later, pc.is_valid(table.column(value)))).as_py() or 0
                for name in (value, told):
                    at = table.column_names.index(name)
                    null = pa.scalar(None, table.schema.field(name).type)
                    table = table.set_column(at, name, pc.if_else(later, null, table.column(name)))
        pq.write_table(table, file)
    return taken
