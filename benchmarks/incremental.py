"""One more month: what does it cost to add a cutoff to a dataset that is there, beside building all of it anew?

    python benchmarks/incremental.py [--customers N] [--events N] [--runs N]

A company of 100,000 customers and 24 million events in Parquet, and a dataset of 24 monthly cutoffs. Then a month has
passed: new events, and ends that became known. `holdfast build` is timed twice over the same files, from reading them
to the last byte written: with the dataset of 24 cutoffs at hand (it takes over what cannot have changed, see
docs/explanation/time.md), and without it. Both give the same id and the same bytes. Medians of alternating runs; adding
the month is to cost at most half of the full build.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import duckdb
import yaml

from _shared import machine, peak_memory
from holdfast.artifacts.dataset import Dataset
from holdfast.clock import parse_instant
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build

RATIO = 0.5
BEGIN, BEFORE, NOW = "2021-07-01", "2024-01-01", "2024-02-01"
FIRST = "2022-02-01"
MEASURES = {
    "minutes": {
        "table": "events", "column": "minutes", "label": "minutes",
        "aggregations": ["sum", "mean", "std", "min", "max", "trend", "ratio"],
    },
    "amount": {
        "table": "events", "column": "amount", "label": "amount",
        "aggregations": ["sum", "mean", "std", "max", "ratio"],
    },
    "events": {"table": "events", "label": "events", "aggregations": ["count", "trend", "ratio", "recency"]},
    "fails": {
        "table": "events", "where": {"kind": ["fail"]}, "label": "fails", "aggregations": ["count", "share", "recency"],
    },
    "calls": {
        "table": "events", "column": "minutes", "where": {"kind": ["call"]}, "label": "calls",
        "aggregations": ["count", "sum"],
    },
}  # fmt: skip
SECTIONS = {
    "data": {
        "cutoffs": {"first": FIRST},
        "label": {"horizon": "1m"},
        "tables": {
            "customers": {"kind": "customers", "path": "customers", "key": "id", "start": "start", "end": "end"},
            "events": {
                "kind": "events", "path": "events", "key": "id", "time": "time",
                "columns": {
                    "minutes": {"type": "number", "scale": 1}, "amount": {"type": "number", "scale": 2},
                    "kind": {"type": "category"},
                },
            },
        },
    },
    "features": {"windows": ["3m", "6m", "12m"], "measures": MEASURES},
    "training": {"estimators": {"logistic": {}}, "threads": 2},
    "scoring": {},
    "decisions": {
        "value": {"revenue": "amount_sum_12m"}, "actions": {"call": {"label": "Call", "cost": 5, "retention": 0.1}},
    },
    "monitoring": {},
    "serving": {},
}  # fmt: skip


def write_company(sources: Path, customers: int, events: int) -> None:
    """Customers with starts and ends, and their events, as Parquet; ends are known when they come."""
    db = duckdb.connect(config={"threads": 2})
    (sources / "customers").mkdir(parents=True)
    (sources / "events").mkdir()
    begin = f"TIMESTAMP '{BEGIN}'"
    db.execute(f"""CREATE TABLE people AS
        SELECT 'c' || lpad(i::VARCHAR, 8, '0') AS id, start,
          CASE WHEN gone < TIMESTAMP '{NOW}' THEN gone END AS "end"
        FROM (SELECT i, {begin} + to_seconds((hash(i) % 47_000_000)::BIGINT) AS start,
                start + to_seconds((hash(i, 1) % 160_000_000)::BIGINT) AS gone FROM range({customers}) t(i))""")
    db.execute(f"COPY people TO '{sources / 'customers' / 'part-0.parquet'}'")
    db.execute(f"""COPY (
        SELECT id, start + to_microseconds((h % 1_000_000_007 / 1_000_000_007.0
            * epoch_us(coalesce("end", TIMESTAMP '{NOW}') - start))::BIGINT) AS time,
          CASE WHEN h % 50 = 0 THEN NULL ELSE (h // 7 % 6_000)::BIGINT / 10.0 END::DECIMAL(9, 1) AS minutes,
          ((h // 11 % 1_000_000)::BIGINT / 100.0)::DECIMAL(9, 2) AS amount,
          ['call', 'call', 'chat', 'fail', 'visit'][1 + (h // 13 % 5)::BIGINT] AS kind
        FROM (SELECT p.*, hash(p.id, j) AS h FROM people p, range({events // customers}) e(j)))
        TO '{sources / "events" / "part-0.parquet"}'""")
    db.close()


def timed(workspace: Workspace, known_as_of: str) -> tuple[float, Dataset]:
    """Seconds of a build, and its dataset."""
    begin = time.perf_counter()
    dataset = build(workspace, known_as_of=parse_instant(known_as_of))
    return time.perf_counter() - begin, dataset


def bytes_of(dataset: Dataset) -> dict[str, str]:
    """A hash of every file."""
    files = sorted(p for p in dataset.path.rglob("*") if p.is_file())
    return {str(p.relative_to(dataset.path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=24_000_000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    print("one more month: a full build, and the same dataset with the one before it at hand")
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content in SECTIONS.items():
            (root / "conf" / "company").mkdir(parents=True, exist_ok=True)
            (root / "conf" / "company" / f"{name}.yaml").write_text(yaml.safe_dump(content))
        workspace = open_workspace("company", root=root, environ={})
        write_company(workspace.sources, args.customers, args.events)
        _, before = timed(workspace, BEFORE)
        kept = root / "before"
        shutil.move(workspace.datasets, kept)
        seconds: dict[str, list[float]] = {"full": [], "one more month": []}
        found: dict[str, dict[str, str]] = {}
        for _ in range(args.runs):
            for what, times in seconds.items():
                if what != "full":
                    shutil.copytree(kept, workspace.datasets)
                took, dataset = timed(workspace, NOW)
                times.append(took)
                found[what] = bytes_of(dataset)
                shutil.rmtree(workspace.datasets)
        print(
            f"{args.customers:,} customers, {args.events:,} events, {len(before.manifest.schema)} features; "
            f"{len(before.manifest.cutoffs)} cutoffs and then {len(dataset.manifest.cutoffs)}, "
            f"{dataset.manifest.snapshots:,} snapshots"
        )
    for what, times in seconds.items():
        told = ", ".join(f"{t:.1f}" for t in times)
        print(f"{what:16}{statistics.median(times):8.1f} s  ({told})")
    ratio = statistics.median(seconds["one more month"]) / statistics.median(seconds["full"])
    same = found["full"] == found["one more month"]
    print(
        f"ratio {ratio:.2f} (at most {RATIO}); the same bytes: {'yes' if same else 'NO'}; peak {peak_memory():.1f} GiB"
    )
    raise SystemExit(0 if same and ratio <= RATIO else 1)


if __name__ == "__main__":
    main()
