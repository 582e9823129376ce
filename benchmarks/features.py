"""Features from raw events, beside SQL written by hand, and as the company grows.

    python benchmarks/features.py [versus | growth] [--customers N] [--events N] [--runs N] [--sizes N,N,N]

versus  60 features of 100,000 customers' 24 months and 24 million events, at 24 monthly cutoffs: `features.compute`, as
        the pipelines call it, beside DuckDB SQL written by hand for the same data under the same rules
        (_features_by_hand.py). Both start from loaded tables, both leave a table, and the two are equal to the bit.
        Medians of alternating runs; the ratio is to stay at or below 1.3. The peak is that of a process of its own.
growth  `features.compute` for 10,000, 100,000 and 1,000,000 customers (240 million events), from events in Parquet to a
        table, each in a process of its own that may hold 16 GiB and then spills: the exponent of its time, over all
        and of the last step, is to stay at or below 1.10, and its peak below 20 GiB.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _features_by_hand import statements
from _shared import machine, peak_memory
from holdfast.clock import Grid, naive
from holdfast.config.data import DataSection, Label
from holdfast.config.features import FeaturesSection
from holdfast.features.compute import compute, window_lengths
from holdfast.snapshots.calendar import Cutoff, cutoff_table
from holdfast.stores.engine import DuckDBEngine

MONTHS = 24
FIRST = datetime(2022, 1, 1, tzinfo=UTC)
THREADS = 2
MEMORY = "16GB"
RATIO, EXPONENT, PEAK = 1.3, 1.10, 20.0

DATA = DataSection.model_validate(
    {
        "tables": {
            "customers": {"kind": "customers", "path": "c", "key": "id", "start": "start", "end": "end"},
            "events": {
                "kind": "events", "path": "e", "key": "id", "time": "time",
                "columns": {
                    "minutes": {"type": "number", "scale": 1}, "amount": {"type": "number", "scale": 2},
                    "kind": {"type": "category"},
                },
            },
        }
    }
)  # fmt: skip
FEATURES = FeaturesSection.model_validate(
    {
        "windows": ["3m", "6m", "12m"],
        "tenure": False,
        "measures": {
            "minutes": {
                "table": "events", "column": "minutes", "label": "minutes",
                "aggregations": ["sum", "mean", "std", "min", "max", "trend", "ratio"],
            },
            "amount": {
                "table": "events", "column": "amount", "label": "amount",
                "aggregations": ["sum", "mean", "std", "max", "ratio"],
            },
            "events": {
                "table": "events", "label": "events", "aggregations": ["count", "trend", "ratio", "recency"],
            },
            "fails": {
                "table": "events", "where": {"kind": ["fail"]}, "label": "fails",
                "aggregations": ["count", "share", "recency"],
            },
            "calls": {
                "table": "events", "column": "minutes", "where": {"kind": ["call"]}, "label": "calls",
                "aggregations": ["count", "sum"],
            },
        },
    }
)  # fmt: skip


def cutoffs() -> list[Cutoff]:
    """The firsts of the months after each of the months that have events."""
    first = FIRST.year * 12 + FIRST.month
    return [Cutoff.of(Grid(1).at(k), Label(), DATA.cutoffs) for k in range(first, first + MONTHS)]


class World:
    """One company in an engine: canonical events, and a population at every cutoff.

    Parameters
    ----------
    events : of each customer
    folder : for what the engine spills, and for the events where they are ``on_disk``, in Parquet
    """

    def __init__(self, customers: int, events: int, folder: Path, *, on_disk: bool = False) -> None:
        spill = folder / "spill"
        self.engine = DuckDBEngine(spill, threads=THREADS, memory=MEMORY)
        sql = self.engine._sql  # made in SQL: no file between generator and table
        days = (cutoffs()[-1].at - FIRST).days
        first = f"TIMESTAMP '{naive(FIRST)}'"
        sql(f"""CREATE TEMP TABLE people AS SELECT i, 'c' || lpad(i::VARCHAR, 8, '0') AS customer_id,
            {first} + to_seconds((hash(i) % {days * 3 // 4 * 86_400})::BIGINT) - INTERVAL 90 DAY AS start
            FROM range({customers}) t(i)""")
        rows = f"""
            WITH drawn AS (SELECT p.customer_id, greatest(p.start, {first}) AS since, hash(p.i, e.j) AS h
              FROM range({events}) e(j), people p)
            SELECT customer_id, NULL::VARCHAR AS event_id, time AS event_time, time AS available_at,
              0::BIGINT AS deleted,
              CASE WHEN h % 50 = 0 THEN NULL ELSE (h // 7 % 6_000)::BIGINT END AS c_minutes,
              (h // 11 % 1_000_000)::BIGINT - 1_000 AS c_amount,
              ['call', 'call', 'chat', 'fail', 'visit'][1 + (h // 13 % 5)::BIGINT] AS c_kind
            FROM (SELECT customer_id, h, since + to_microseconds((
              h % 1_000_000_007 / 1_000_000_007.0 * epoch_us(TIMESTAMP '{naive(cutoffs()[-1].at)}' - since))::BIGINT)
              AS time FROM drawn)"""
        if on_disk:
            sql(f"COPY ({rows}) TO '{folder / 'events.parquet'}'")
            sql(f"CREATE TEMP VIEW events AS SELECT * FROM '{folder / 'events.parquet'}'")
        else:
            sql(f"CREATE TEMP TABLE events AS {rows}")
        self.cutoffs = self.engine.from_arrow(cutoff_table(cutoffs(), window_lengths(FEATURES)), "cutoffs")
        sql("""CREATE TEMP TABLE population AS
            SELECT customer_id, cutoff, k, start FROM people JOIN cutoffs ON start < cutoff""")
        self.tables = {"events": self._table("events"), "customers": self._table("people")}
        self.population = self._table("population")

    def _table(self, name: str) -> Any:
        return self.engine._backend.table(name, database=("temp", "main"))

    def count(self, table: str) -> int:
        """Rows of a table."""
        return int(self.engine._sql(f"SELECT count(*) FROM {table}").fetchall()[0][0])

    def holdfast(self) -> None:
        """The features by Holdfast, in ``by_holdfast``."""
        known = cutoffs()[-1].at
        found, _ = compute(
            self.engine, self.population, self.cutoffs, self.tables, DATA, FEATURES, grid=Grid(1), known_as_of=known
        )
        self.engine.materialize(found, "by_holdfast")

    def by_hand(self) -> None:
        """The features by hand, in ``by_hand``."""
        for statement in statements(str(naive(cutoffs()[-1].at))):
            self.engine._sql(statement)

    def differences(self) -> dict[str, int]:
        """Features that are not equal to the bit, each with the number of snapshots; both tables are there."""
        names = [c for c in self._table("by_holdfast").columns if c not in ("customer_id", "cutoff")]
        counts = ", ".join(f'count(*) FILTER (a."{n}" IS DISTINCT FROM b."{n}")' for n in names)
        row = self.engine._sql(f"SELECT {counts} FROM by_holdfast a JOIN by_hand b USING (customer_id, cutoff)")
        return {n: c for n, c in zip(names, row.fetchall()[0], strict=True) if c}


def timed(work: Callable[[], None]) -> float:
    """Seconds that a piece of work takes."""
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def versus(customers: int, events: int, runs: int) -> bool:
    """Section versus; whether what it claims holds."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(customers, events, Path(folder))
        print(f"\nversus SQL by hand: {world.count('events'):,} events -> {world.count('population'):,} snapshots")
        seconds: dict[str, list[float]] = {"Holdfast": [], "by hand": []}
        for run in range(runs + 1):  # the first of each only warms up
            for name, work in (("Holdfast", world.holdfast), ("by hand", world.by_hand)):
                took = timed(work)
                if run:
                    seconds[name].append(took)
        wrong, names = world.differences(), len(world._table("by_hand").columns) - 2
        same = "equal to the bit" if not wrong else f"DIFFERENT: {wrong}"
        print(f"{names} features, {same}")
        world.engine.close()
    medians = {name: statistics.median(took) for name, took in seconds.items()}
    for name in seconds:
        peak = alone(customers, events, "holdfast" if name == "Holdfast" else "by_hand")["peak"]
        each = " ".join(f"{t:.1f}" for t in seconds[name])
        print(f"{name:10} median {medians[name]:6.2f} s  peak {peak:5.2f} GiB with the tables   ({each})")
    ratio = medians["Holdfast"] / medians["by hand"]
    held = ratio <= RATIO and not wrong
    print(f"ratio {ratio:.2f}, limit {RATIO}: {'held' if held else 'BROKEN'}", flush=True)
    return held


def growth(sizes: list[int], events: int) -> bool:
    """Section growth; whether what it claims holds."""
    print(f"\ngrowth: {events} events a customer in Parquet, {THREADS} threads, DuckDB may hold {MEMORY}")
    found = []
    for size in sizes:
        found.append(alone(size, events, "holdfast", on_disk=True))
        print(f"{size:>10,} customers {size * events:>13,} events  {found[-1]['seconds']:8.1f} s"
              f"  peak {found[-1]['peak']:5.2f} GiB", flush=True)  # fmt: skip
    exponent = math.log(found[-1]["seconds"] / found[-2]["seconds"]) / math.log(sizes[-1] / sizes[-2])
    whole = math.log(found[-1]["seconds"] / found[0]["seconds"]) / math.log(sizes[-1] / sizes[0])
    held = max(exponent, whole) <= EXPONENT and max(f["peak"] for f in found) < PEAK
    print(f"exponent {whole:.2f}, of the last step {exponent:.2f}, limit {EXPONENT}; peak below {PEAK:.0f} GiB: "
          f"{'held' if held else 'BROKEN'}", flush=True)  # fmt: skip
    return held


def alone(customers: int, events: int, what: str, *, on_disk: bool = False) -> dict[str, float]:
    """Seconds and peak memory of one run in a process of its own."""
    words = [sys.executable, __file__, "--alone", what, "--customers", str(customers), "--events", str(events)]
    words += ["--on-disk"] if on_disk else []
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", nargs="?", choices=["versus", "growth"], help="by default both")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=240, help="of each customer")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--alone", choices=["holdfast", "by_hand"], help=argparse.SUPPRESS)
    parser.add_argument("--on-disk", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        with tempfile.TemporaryDirectory() as folder:
            world = World(asked.customers, asked.events, Path(folder), on_disk=asked.on_disk)
            seconds = timed(world.holdfast if asked.alone == "holdfast" else world.by_hand)
        print(json.dumps({"seconds": seconds, "peak": peak_memory()}))
        return
    print(machine(), flush=True)
    held = True
    if asked.section in ("versus", None):
        held &= versus(asked.customers, asked.events, asked.runs)
    if asked.section in ("growth", None):
        held &= growth([int(size) for size in asked.sizes.split(",")], asked.events)
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
