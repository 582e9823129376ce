"""Features from raw events, beside pandas, Feast's offline join and featuretools, in one run.

    python benchmarks/features_peers.py [--customers 100000] [--small 20000] [--repeats 5] [--peers VENV]

24 monthly cutoffs, 10 events a customer a month, 60 features (sum, mean, std, min and max of four columns over 3, 6
and 12 months). Like is put beside like:

pandas        a loop over cutoffs and windows, on events in memory: beside `features.compute` of loaded tables
featuretools  deep feature synthesis, on events in memory, of a size it can finish: beside the same
feast         only joins features that are already computed, from Parquet: beside the whole of ``holdfast build``, which
              reads Parquet, checks and hashes the tables, makes snapshots, labels and features and writes the dataset

Each figure is the median of the repeats; each peer's limit is a ratio of times, theirs over ours on the same rows. The
time beside the whole build is printed for every peer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from _shared import machine, peak_memory, peers_python
from holdfast.artifacts.dataset import Dataset
from holdfast.features.compute import compute, window_lengths
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build, planned_cutoffs
from holdfast.pipelines.knowledge import knowledge_of, open_sources
from holdfast.snapshots.calendar import cutoff_table
from holdfast.snapshots.population import training_population

HERE = Path(__file__).resolve().parent
MONTHS = 24
EVENTS_A_MONTH = 10
COLUMNS = ("a", "b", "c", "d")
LIMITS = {"pandas": 5.0, "feast": 5.0, "featuretools": 20.0}
BESIDE = {"pandas": "features", "feast": "build", "featuretools": "features"}
TELLS = {
    "pandas": "a loop over cutoffs and windows, group by",
    "feast": "join of computed rows (offline store, dask engine)",
    "featuretools": "deep feature synthesis with cutoff times",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--small", type=int, default=20_000, help="customers for Feast and featuretools")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="a virtual environment that has requirements-peers.txt")
    args = parser.parse_args()
    print("60 features of monthly snapshots: Holdfast from raw events to a dataset on disk, beside three peers")
    print(machine())
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        python = peers_python(args.peers or Path(scratch) / "peers", "peers", make=args.peers is None)
        for customers, peers in ((args.customers, ("pandas",)), (args.small, ("feast", "featuretools"))):
            broken += measure(Path(scratch) / str(customers), customers, peers, python, args.repeats)
    print(f"peak memory of this process {peak_memory():.2f} GiB")
    raise SystemExit(1 if broken else 0)


def measure(root: Path, customers: int, peers: tuple[str, ...], python: Path, repeats: int) -> list[str]:
    """One company: our time, then each peer's on the same rows; the peers that are not slower by their limit."""
    broken: list[str] = []
    workspace = company(root, customers)
    ours: dict[str, float] = {}
    dataset, ours["build"] = median_of(repeats, lambda: build(workspace, force=True))
    ours["features"] = features_alone(workspace, repeats)
    events = customers * MONTHS * EVENTS_A_MONTH
    print(f"\n{customers:,} customers, {events:,} events, {dataset.manifest.snapshots:,} snapshots")
    print(f"  holdfast      {ours['features']:8.2f} s features   {ours['build']:8.2f} s build", flush=True)
    joined(dataset, root / "features.parquet")
    for peer in peers:
        program = [str(python), str(HERE / "_peers.py"), peer, str(root), str(repeats)]
        done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
        told = json.loads(done.stdout.splitlines()[-1])
        seconds = statistics.median(told["seconds"])
        ratio, limit = seconds / ours[BESIDE[peer]], LIMITS[peer]
        verdict = "holds" if ratio >= limit else "DOES NOT HOLD"
        broken += [] if ratio >= limit else [peer]
        print(
            f"  {peer:14}{seconds:8.2f} s   {ratio:6.1f}x our {BESIDE[peer]} (at least {limit:g}x: {verdict}), "
            f"{seconds / ours['build']:.1f}x our build   {TELLS[peer]}; {told['agrees']}",
            flush=True,
        )
    return broken


def median_of(repeats: int, work: Callable[[], Any]) -> tuple[Any, float]:
    """What the last run of some work gave, and the median of the seconds it took."""
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - began)
    return found, statistics.median(seconds)


def features_alone(workspace: Workspace, repeats: int) -> float:
    """Seconds of the features, from loaded tables and a population to a table."""
    config = workspace.config
    with workspace.engine() as engine:
        sources = open_sources(workspace, engine)
        tables = {name: source.table for name, source in sources.tables.items()}
        knowledge = knowledge_of(config, sources, None)
        cutoffs = planned_cutoffs(engine, config, sources, knowledge, None)
        table = engine.from_arrow(cutoff_table(cutoffs, window_lengths(config.features)), "asked")
        known, complete = knowledge.known_as_of, knowledge.complete_through
        people = training_population(tables, config.data, table, known_as_of=known, complete_through=complete)
        people = engine.materialize(people, "people")

        def work() -> None:
            found, _ = compute(
                engine, people, table, tables, config.data, config.features, grid=cutoffs[0].grid, known_as_of=known
            )
            engine.materialize(found, "found")

        return median_of(repeats, work)[1]


def joined(dataset: Dataset, file: Path) -> None:
    """All snapshots in one Parquet file: what Feast joins, and what the peers' values are checked against."""
    parts = f"read_parquet('{dataset.path}/*/*.parquet', hive_partitioning = false)"
    duckdb.sql(f"COPY (SELECT * FROM {parts}) TO '{file}' (FORMAT parquet)")


def company(root: Path, customers: int, *, days: int = MONTHS * 30) -> Workspace:
    """A project folder with its tables; cells are drawn from hashes, so a size is always the same company.

    ``days`` is how long there are events.
    """
    conf, sources = root / "conf" / "peers", root / "var" / "peers" / "sources"
    conf.mkdir(parents=True)
    sources.mkdir(parents=True)
    duckdb.sql(
        f"""COPY (SELECT 'c' || i AS id, DATE '2021-06-01' + CAST(hash(i, 'start') % 200 AS INT) AS started,
        CASE WHEN hash(i, 'end') % 4 = 0 THEN DATE '2022-03-01' + CAST(hash(i, 'when') % 700 AS INT) END AS ended
        FROM range({customers}) t(i)) TO '{sources / "customers.parquet"}' (FORMAT parquet)"""
    )
    cells = ", ".join(f"(hash(n, '{c}') % 100000)::INT / 100.0 AS {c}" for c in COLUMNS)
    seconds = days * 86400
    duckdb.sql(
        f"""COPY (SELECT 'c' || (n % {customers}) AS id,
        TIMESTAMP '2022-01-01' + to_seconds((hash(n, 'at') % {seconds})::BIGINT) AS at, {cells}
        FROM range({customers * MONTHS * EVENTS_A_MONTH}) t(n)) TO '{sources / "events.parquet"}' (FORMAT parquet)"""
    )
    declared = "".join(f"      {c}: {{type: number, scale: 2}}\n" for c in COLUMNS)
    measured = "".join(
        f"  {c}: {{table: events, column: {c}, label: {c}, aggregations: [sum, mean, std, min, max]}}\n"
        for c in COLUMNS
    )
    files = {
        "data": "cutoffs: {first: 2022-02-01, last: 2024-01-01}\nknown_as_of: 2024-02-01\nlabel: {horizon: 1m}\n"
        "tables:\n  customers: {kind: customers, path: customers.parquet, key: id, start: started, end: ended}\n"
        f"  events:\n    kind: events\n    path: events.parquet\n    key: id\n    time: at\n    columns:\n{declared}",
        "features": f"windows: [3m, 6m, 12m]\ntenure: false\nmeasures:\n{measured}",
        "training": "estimators: {logistic: {}}\n",
        "decisions": "value: {revenue: a_mean_3m}\nactions: {call: {label: call, cost: 1, retention: 0.1}}\n",
    }
    for name in ("data", "features", "training", "scoring", "decisions", "monitoring", "serving"):
        (conf / f"{name}.yaml").write_text(files.get(name, "{}\n"))
    return open_workspace("peers", root=root)


if __name__ == "__main__":
    main()
