"""A simulated company on disk, and how tests look at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.simulate import SimulationSummary, simulate

SEED = 20_311  # not one of those used while building the company


@dataclass(frozen=True)
class Company:
    """A simulated company on disk."""

    out: Path
    truth: Path
    summary: SimulationSummary

    def table(self, name: str) -> pa.Table:
        folder = self.truth if name in ("hazard", "effects") else self.out
        return pq.read_table(folder / name)

    def column(self, table: str, name: str) -> Any:
        """A column as numpy; times as datetime64[us], NaT and NaN for nulls."""
        return self.table(table).column(name).to_numpy()

    def at_risk(self) -> dict[str, Any]:
        """One row for each customer and month at risk: month_start, hazard and whether they left in it."""
        hazard = self.table("hazard")
        ends = self.table("customers").select(["customer_id", "ended_at"])
        joined = hazard.join(ends, "customer_id").sort_by([("month_start", "ascending"), ("customer_id", "ascending")])
        start = joined.column("month_start").to_numpy()
        left_in = joined.column("ended_at").to_numpy().astype("datetime64[M]")
        return {
            "customer_id": np.array(joined.column("customer_id").to_pylist()),
            "month_start": start,
            "hazard": joined.column("hazard").to_numpy(),
            "left": left_in == start.astype("datetime64[M]"),
        }


def make(folder: Path, **arguments: Any) -> Company:
    summary = simulate(folder / "sources", folder / "truth", **arguments)
    return Company(folder / "sources", folder / "truth", summary)


def before(table: pa.Table, column: str, instant: str) -> pa.Table:
    """The rows with ``column`` before an instant."""
    limit = pa.scalar(np.datetime64(instant, "us"), pa.timestamp("us"))
    return table.filter(pc.less(table.column(column), limit))
